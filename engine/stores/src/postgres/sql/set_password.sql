-- $3: the session that goes on, of whoever changes their own password; it gets another secret.
WITH ended AS (DELETE FROM sessions WHERE user_id = $1 AND token_hash IS DISTINCT FROM $3::bytea),
     kept AS (UPDATE sessions SET must_renew = true WHERE user_id = $1 AND token_hash = $3::bytea AND kind = 'browser')
UPDATE users SET password_hash = $2 WHERE id = $1 RETURNING id
