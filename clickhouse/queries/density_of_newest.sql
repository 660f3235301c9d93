-- How many offsets of each partition are here between its bounds. All tenants: this is the auditor's question.
SELECT log_partition, min(log_offset) AS first, max(log_offset) AS last, uniqExact(log_offset) AS distinct, count() AS rows
FROM events
WHERE log = {log: String}
  AND log_offset >= {firsts: Array(Int64)}[log_partition + 1] AND log_offset < {ends: Array(Int64)}[log_partition + 1]
GROUP BY log_partition
ORDER BY log_partition
