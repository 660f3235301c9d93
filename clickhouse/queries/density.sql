-- Is every offset of a partition here? Dense when last - first + 1 = distinct. All tenants: this is the auditor's question.
SELECT log_partition, min(log_offset) AS first, max(log_offset) AS last, uniqExact(log_offset) AS distinct, count() AS rows
FROM events
WHERE log = {log: String}
GROUP BY log_partition
ORDER BY log_partition
