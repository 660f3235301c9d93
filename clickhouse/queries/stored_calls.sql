-- Which of some calls the events table has records of: reads no bodies, so it is cheap to ask of calls that may be new.
SELECT DISTINCT tenant, kind, call_id
FROM events
WHERE (tenant, kind, call_id) IN (
    SELECT toUUID(pick.1), pick.2, pick.3
    FROM (SELECT arrayJoin(arrayZip({tenants: Array(String)}, {kinds: Array(String)}, {ids: Array(String)})) AS pick)
)
