INSERT INTO second_steps (tenant, token_hash, user_id, expires_ms) VALUES ($1, $2, $3, $4)
