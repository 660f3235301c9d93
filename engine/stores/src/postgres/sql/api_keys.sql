-- One ($1) or a page: those after $2 or before $3, at most $4, oldest first.
SELECT * FROM (
    SELECT k.id, k.name, k.last_four, k.scopes, k.businesses, (extract(epoch FROM k.revoked_at) * 1000)::bigint AS revoked_ms,
           k.expires_ms, k.last_used_ms, (extract(epoch FROM k.created_at) * 1000)::bigint AS created_ms, u.name AS created_by
    FROM api_keys k LEFT JOIN users u ON u.tenant = k.tenant AND u.id = k.created_by
    WHERE ($1::uuid IS NULL OR k.id = $1) AND ($2::uuid IS NULL OR k.id > $2) AND ($3::uuid IS NULL OR k.id < $3)
    ORDER BY CASE WHEN $3 IS NULL THEN k.id END, CASE WHEN $3 IS NOT NULL THEN k.id END DESC
    LIMIT $4
) AS page
ORDER BY id
