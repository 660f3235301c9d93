-- The records of some calls, for the writer to fold again.
SELECT tenant, workspace, kind, call_id, received_at, event, routing_key, source, masked, body
FROM events FINAL
WHERE (tenant, kind, call_id) IN (
    SELECT toUUID(pick.1), pick.2, pick.3
    FROM (SELECT arrayJoin(arrayZip({tenants: Array(String)}, {kinds: Array(String)}, {ids: Array(String)})) AS pick)
)
AND set_aside = ''
