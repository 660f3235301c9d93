DELETE FROM sessions WHERE id = $1 AND kind = 'api' RETURNING user_id
