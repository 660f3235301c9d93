-- A link that was sent before is worth nothing any more.
UPDATE invitations SET token_hash = $2, lang = $3, expires_ms = $4
WHERE id = $1 AND accepted_ms IS NULL AND revoked_ms IS NULL RETURNING id
