-- The records of some calls, for the writer to fold again. PREWHERE, which FINAL does not choose by itself: it reads bodies of these calls only,
-- and may come first because it looks at the sorting key alone.
SELECT tenant, workspace, kind, call_id, received_at, event, routing_key, source, masked, body
FROM events FINAL
PREWHERE (tenant, kind, call_id) IN (
    SELECT toUUID(pick.1), pick.2, pick.3
    FROM (SELECT arrayJoin(arrayZip({tenants: Array(String)}, {kinds: Array(String)}, {ids: Array(String)})) AS pick)
)
WHERE set_aside = ''
