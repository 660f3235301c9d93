-- What became of each offset of a range. The moments of receipt are those of the range: they spare the parts of other times. All tenants:
-- this is the auditor's question.
SELECT log_offset, tenant, kind, call_id, content, set_aside
FROM events FINAL
WHERE log = {log: String} AND log_partition = {partition: UInt32} AND log_offset >= {first: Int64} AND log_offset <= {last: Int64}
  AND received_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC') AND received_at <= fromUnixTimestamp64Milli({to: Int64}, 'UTC')
ORDER BY log_offset
