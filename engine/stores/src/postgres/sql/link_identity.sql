INSERT INTO user_identities (tenant, issuer, subject, user_id, linked_ms) VALUES ($1, $2, $3, $4, $5)
