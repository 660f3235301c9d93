SELECT k.id, k.name, k.last_four, k.scopes, k.businesses, k.revoked_at IS NOT NULL, k.expires_ms, k.last_used_ms,
       (extract(epoch FROM k.created_at) * 1000)::bigint, u.name
FROM api_keys k LEFT JOIN users u ON u.tenant = k.tenant AND u.id = k.created_by
ORDER BY k.id
