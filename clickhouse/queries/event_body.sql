-- The body of one record, as it came.
SELECT body
FROM events FINAL
WHERE tenant = {tenant: UUID} AND kind = {kind: String} AND call_id = {id: String}
  AND log = {log: String} AND log_partition = {partition: UInt32} AND log_offset = {offset: Int64}
