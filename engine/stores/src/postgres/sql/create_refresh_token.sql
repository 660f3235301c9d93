INSERT INTO refresh_tokens (tenant, token_hash, session, created_ms) VALUES ($1, $2, $3, $4)
