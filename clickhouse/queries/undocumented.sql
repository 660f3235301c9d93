-- What Retell sends that its documentation does not list: how often, since when, by which agents, with the newest record as a sample.
SELECT splitByChar(':', name)[1] AS what,
       substring(name, length(what) + 2) AS spelled,
       count() AS records,
       uniqExact(kind, call_id) AS calls,
       min(received_at) AS first_at,
       max(received_at) AS last_at,
       arraySort(groupUniqArrayIf(5)(agent, agent != '')) AS agents,
       argMax((log, log_partition, log_offset, kind, call_id), received_at) AS sample
FROM (
    SELECT arrayJoin(undocumented) AS name, log, log_partition, log_offset, kind, call_id, received_at,
           JSONExtractString(body, if(kind = 'chat', 'chat', 'call'), 'agent_id') AS agent
    FROM events FINAL
    WHERE tenant = {tenant: UUID} AND notEmpty(undocumented)
      AND received_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
)
GROUP BY name
ORDER BY records DESC, name
LIMIT {limit: UInt32}
