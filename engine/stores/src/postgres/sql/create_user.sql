INSERT INTO users (tenant, id, email, name, role, password_hash) VALUES ($1, $2, $3, $4, $5, $6)
