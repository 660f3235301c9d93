-- A secret that nobody confirmed is replaced; one that is in use is not.
INSERT INTO second_factors (tenant, user_id, secret, created_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, user_id) DO UPDATE SET secret = excluded.secret, created_ms = excluded.created_ms
WHERE NOT second_factors.confirmed
RETURNING user_id
