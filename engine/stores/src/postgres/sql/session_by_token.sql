SELECT tenant, user_id, email, name, role, created_ms, expires_ms FROM session_by_token($1, $2)
