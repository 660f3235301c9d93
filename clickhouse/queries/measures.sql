-- Sums of the measures by interval, once on the arrival base and once on the completion base; the catalogue says which of the two
-- counts for which measure. An interval of 0 ms makes one of the whole range.
SELECT 'arrival' AS base, at, count() AS calls, sumForEach(measure_num) AS num, sumForEach(measure_den) AS den
FROM (
    SELECT measure_num, measure_den,
           {from: Int64} + if({step: Int64} = 0, 0,
               intDiv(toUnixTimestamp64Milli(opened_at) - {from: Int64}, greatest({step: Int64}, 1)) * {step: Int64}) AS at
    FROM calls FINAL
    WHERE {scope}
      AND opened_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
      AND opened_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')
)
GROUP BY at
UNION ALL
SELECT 'completion' AS base, at, count() AS calls, sumForEach(measure_num) AS num, sumForEach(measure_den) AS den
FROM (
    SELECT measure_num, measure_den,
           {from: Int64} + if({step: Int64} = 0, 0,
               intDiv(toUnixTimestamp64Milli(assumeNotNull(closed_at)) - {from: Int64}, greatest({step: Int64}, 1)) * {step: Int64}) AS at
    FROM calls FINAL
    WHERE {scope}
      AND closed_at IS NOT NULL
      AND closed_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
      AND closed_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')
)
GROUP BY at
ORDER BY at, base
