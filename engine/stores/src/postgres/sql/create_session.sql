INSERT INTO sessions (tenant, token_hash, user_id, created_ms, last_seen_ms, expires_ms, idle_ms, source, device, kind, by_provider)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10) RETURNING id
