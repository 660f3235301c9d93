-- When the first and the last event of a workspace came, since it was linked.
SELECT toUnixTimestamp64Milli(min(received_at)) AS first_at, toUnixTimestamp64Milli(max(received_at)) AS last_at, count() AS records
FROM events
WHERE tenant = {tenant: UUID}
  AND workspace = {workspace: UUID}
  AND source = 'webhook'
  AND received_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
