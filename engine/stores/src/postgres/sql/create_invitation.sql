INSERT INTO invitations (tenant, id, email, name, role, grants, lang, invited_by, token_hash, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
