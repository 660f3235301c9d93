-- One ($1) or a page: those after $2 or before $3, at most $4, oldest first.
SELECT * FROM (
    SELECT u.id, u.email, u.name, u.role,
           coalesce((SELECT jsonb_agg(jsonb_build_object('business', g.business, 'role', g.role, 'agents', g.agents) ORDER BY g.business)
                 FROM user_grants g WHERE g.tenant = u.tenant AND g.user_id = u.id), '[]'::jsonb) AS grants,
           u.disabled, (extract(epoch FROM u.created_at) * 1000)::bigint AS created_ms,
           (SELECT max(s.last_seen_ms) FROM sessions s WHERE s.tenant = u.tenant AND s.user_id = u.id) AS seen_ms,
           (SELECT count(*) FROM sessions s WHERE s.tenant = u.tenant AND s.user_id = u.id) AS sessions
    FROM users u
    WHERE ($1::uuid IS NULL OR u.id = $1) AND ($2::uuid IS NULL OR u.id > $2) AND ($3::uuid IS NULL OR u.id < $3)
    ORDER BY CASE WHEN $3 IS NULL THEN u.id END, CASE WHEN $3 IS NOT NULL THEN u.id END DESC
    LIMIT $4
) AS page
ORDER BY id
