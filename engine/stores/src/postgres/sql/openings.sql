SELECT id, opened_by, opened_name, reason, created_ms, expires_ms, ended_ms FROM platform_openings
ORDER BY created_ms DESC, id DESC LIMIT $1
