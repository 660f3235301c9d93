-- $3: the session that goes on, of whoever changes their own password.
WITH ended AS (DELETE FROM sessions WHERE user_id = $1 AND token_hash IS DISTINCT FROM $3::bytea)
UPDATE users SET password_hash = $2 WHERE id = $1 RETURNING id
