SELECT tenant, user_id, email, name, role, created_ms, expires_ms, grants, has_factor, needs_factor, renew, seed FROM session_access($1, $2)
