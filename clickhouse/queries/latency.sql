-- Latency samples of voice calls that closed in a range, by value: percentiles are made of them as on the board.
SELECT stage, sample_ms, count() AS samples
FROM (
    SELECT stage, samples
    FROM calls FINAL
    ARRAY JOIN mapKeys(latency) AS stage, mapValues(latency) AS samples
    WHERE {scope}
      AND kind = 'call'
      AND closed_at IS NOT NULL
      AND closed_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
      AND closed_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')
)
ARRAY JOIN samples AS sample_ms
GROUP BY stage, sample_ms
