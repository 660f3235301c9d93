-- Records that could not be read, older than a place, newest first, without their bodies.
SELECT log, log_partition, log_offset, received_at, workspace, event, kind, call_id, routing_key, source, set_aside, toUInt64(length(body)) AS bytes
FROM events FINAL
WHERE tenant = {tenant: UUID} AND set_aside != ''
  AND ({any: Bool} OR (received_at, log, log_partition, log_offset)
       < (fromUnixTimestamp64Milli({at: Int64}, 'UTC'), {log: String}, {partition: UInt32}, {offset: Int64}))
ORDER BY received_at DESC, log DESC, log_partition DESC, log_offset DESC
LIMIT {limit: UInt32}
