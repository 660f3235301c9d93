-- One ($1) or a page: those after $2 or before $3, at most $4, oldest first.
SELECT * FROM (
    SELECT i.id, i.email, i.name, i.role, i.grants, u.name AS invited_by, i.created_ms, i.expires_ms, i.accepted_ms, i.revoked_ms
    FROM invitations i LEFT JOIN users u ON u.tenant = i.tenant AND u.id = i.invited_by
    WHERE ($1::uuid IS NULL OR i.id = $1) AND ($2::uuid IS NULL OR i.id > $2) AND ($3::uuid IS NULL OR i.id < $3)
    ORDER BY CASE WHEN $3 IS NULL THEN i.id END, CASE WHEN $3 IS NOT NULL THEN i.id END DESC
    LIMIT $4
) AS page
ORDER BY id
