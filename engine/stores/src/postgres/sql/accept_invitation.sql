UPDATE invitations SET accepted_ms = $3
WHERE id = $1 AND token_hash = $2 AND accepted_ms IS NULL AND revoked_ms IS NULL AND expires_ms > $3 RETURNING role, grants
