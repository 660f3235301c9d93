SELECT id, token_hash = $3, created_ms, last_seen_ms, source, device, kind = 'api' FROM sessions
WHERE user_id = $1 AND expires_ms > $2 AND last_seen_ms + idle_ms > $2
ORDER BY last_seen_ms DESC, id
