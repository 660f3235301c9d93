-- The transcript of one call.
SELECT role, role_raw, content, start_ms, end_ms, tool, tool_call_id, tool_type, successful, word_text, word_start_ms, word_end_ms
FROM transcripts FINAL
WHERE tenant = {tenant: UUID} AND kind = {kind: String} AND call_id = {id: String}
ORDER BY version DESC
LIMIT 1
