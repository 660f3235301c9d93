-- Which ranges of offsets of a partition are not here, within what must be. All tenants: this is the auditor's question.
SELECT previous + 1 AS first, log_offset - 1 AS last
FROM (
    SELECT log_offset,
           lagInFrame(log_offset, 1, {first: Int64} - 1) OVER (ORDER BY log_offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS previous
    FROM (
        SELECT log_offset FROM events
        WHERE log = {log: String} AND log_partition = {partition: UInt32} AND log_offset >= {first: Int64} AND log_offset < {end: Int64}
        GROUP BY log_offset
        UNION ALL
        SELECT {end: Int64} AS log_offset
    )
)
WHERE log_offset > previous + 1
ORDER BY first
LIMIT 100
