INSERT INTO tv_links (tenant, id, name, business, agent, token_hash, created_ms, expires_ms, direction)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
