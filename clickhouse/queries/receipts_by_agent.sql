-- How often Retell sent the same again (repeats) or something else under a once-only name (revisions), by agent (rule B2).
SELECT agent_id, argMax(agent_name, last_received_at) AS name, count() AS conversations, sum(toUInt64(records)) AS received,
       sum(toUInt64(repeats)) AS repeated, sum(toUInt64(revisions)) AS revised
FROM calls FINAL
WHERE tenant = {tenant: UUID}
  AND opened_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
GROUP BY agent_id
ORDER BY repeated + revised DESC, received DESC, agent_id
LIMIT {limit: UInt32}
