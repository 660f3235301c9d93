SELECT i.email, i.name, o.name, coalesce(u.name, ''), i.lang, i.expires_ms
FROM invitations i JOIN organisations o ON o.id = i.tenant LEFT JOIN users u ON u.tenant = i.tenant AND u.id = i.invited_by
WHERE i.id = $1 AND i.accepted_ms IS NULL AND i.revoked_ms IS NULL AND i.expires_ms > $2
