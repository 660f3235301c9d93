UPDATE invitations SET accepted_ms = $2 WHERE id = (
    SELECT id FROM invitations
    WHERE email = $1 AND accepted_ms IS NULL AND revoked_ms IS NULL AND expires_ms > $2 ORDER BY created_ms DESC LIMIT 1 FOR UPDATE
) RETURNING id, role, grants
