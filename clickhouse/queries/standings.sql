-- How some calls stand: their live rows, and where what was said in them stands. All tenants: this is the auditor's question.
SELECT tenant, kind, call_id, business, opened_at, connected, ifNull(duration_ms, 0) AS lasted_ms, CAST(state = 'ended', 'Bool') AS ended, records, true AS of_call
FROM calls FINAL
WHERE call_id IN (SELECT arrayJoin({ids: Array(String)}))
UNION ALL
SELECT tenant, kind, call_id, business, opened_at, false, 0, false, 0, false
FROM transcripts FINAL
WHERE call_id IN (SELECT arrayJoin({ids: Array(String)}))
