-- Records that could not be read, newest first, without their bodies.
SELECT log, log_partition, log_offset, received_at, workspace, event, kind, call_id, routing_key, source, set_aside, toUInt64(length(body)) AS bytes
FROM events FINAL
WHERE tenant = {tenant: UUID} AND set_aside != ''
  AND received_at < fromUnixTimestamp64Milli({before: Int64}, 'UTC')
ORDER BY received_at DESC, log_partition, log_offset DESC
LIMIT {limit: UInt32}
