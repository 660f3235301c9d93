INSERT INTO webhook_endpoints (tenant, id, business, url, events, created_ms) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
