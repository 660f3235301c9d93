-- With it, all others of the same person.
UPDATE password_resets SET used_ms = $3
WHERE used_ms IS NULL AND user_id = (SELECT r.user_id FROM password_resets r
    WHERE r.id = $1 AND r.token_hash = $2 AND r.used_ms IS NULL AND r.expires_ms > $3 FOR UPDATE)
RETURNING id
