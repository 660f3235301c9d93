INSERT INTO single_sign_on (tenant, issuer, client_id, client_secret, required, first_role, changed_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant) DO UPDATE SET issuer = excluded.issuer, client_id = excluded.client_id, client_secret = excluded.client_secret,
    required = excluded.required, first_role = excluded.first_role, changed_ms = excluded.changed_ms
