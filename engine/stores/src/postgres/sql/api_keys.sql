SELECT id, name, last_four, scopes, revoked_at IS NOT NULL FROM api_keys ORDER BY id
