SELECT id, name, business, agent, created_ms, expires_ms, last_seen_ms, revoked_ms IS NOT NULL, direction
FROM tv_links ORDER BY revoked_ms IS NOT NULL, created_ms DESC, id
