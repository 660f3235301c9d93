INSERT INTO platform_openings (tenant, id, opened_by, opened_name, session_hash, reason, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
