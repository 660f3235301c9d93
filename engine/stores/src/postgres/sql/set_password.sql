WITH ended AS (DELETE FROM sessions WHERE user_id = $1)
UPDATE users SET password_hash = $2 WHERE id = $1 RETURNING id
