SELECT tenant, id, reason, created_ms, expires_ms, organisation FROM opening_by_session($1)
