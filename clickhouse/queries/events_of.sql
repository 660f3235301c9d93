-- The records of one call in the order received, without their bodies.
SELECT log, log_partition, log_offset, received_at, event, source, set_aside, masked, content, toUInt64(length(body)) AS bytes
FROM events FINAL
WHERE tenant = {tenant: UUID} AND kind = {kind: String} AND call_id = {id: String}
ORDER BY received_at, log, log_partition, log_offset
LIMIT {limit: UInt32}
