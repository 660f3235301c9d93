INSERT INTO webhook_secrets (tenant, endpoint, secret) VALUES ($1, $2, $3) RETURNING endpoint
