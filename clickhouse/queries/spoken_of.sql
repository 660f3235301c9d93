-- What was said in some calls, to mark search hits in.
SELECT kind, call_id, role, content
FROM transcripts FINAL
WHERE tenant = {tenant: UUID}
  AND has({ids: Array(String)}, call_id)
