SELECT tenant, user_id, email, name, role, created_ms, expires_ms, grants FROM session_access($1, $2)
