INSERT INTO api_keys (tenant, id, name, key_hash, last_four, scopes, businesses, expires_ms, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
