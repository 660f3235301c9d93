-- Agents whose calls came through a workspace since a moment, those heard last first. The first agent of a call decides its business
-- (rule A13), so these are the ones to map.
SELECT owner_agent AS agent_id, argMaxIf(agent_name, last_received_at, calls.agent_id = owner_agent) AS name, count() AS conversations,
       toUnixTimestamp64Milli(max(last_received_at)) AS last_at
FROM calls FINAL
WHERE tenant = {tenant: UUID}
  AND workspace = {workspace: UUID}
  AND owner_agent != ''
  AND opened_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
GROUP BY owner_agent
ORDER BY last_at DESC, agent_id
LIMIT {limit: UInt32}
