UPDATE invitations SET revoked_ms = $2 WHERE id = $1 AND accepted_ms IS NULL AND revoked_ms IS NULL RETURNING id
