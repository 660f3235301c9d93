-- Calls of one agent that stand in a business.
SELECT kind, call_id, log_partition
FROM calls FINAL
WHERE tenant = {tenant: UUID} AND business = {business: UUID} AND workspace = {workspace: UUID} AND owner_agent = {agent: String}
  AND has({partitions: Array(UInt32)}, log_partition)
LIMIT {limit: UInt32}
