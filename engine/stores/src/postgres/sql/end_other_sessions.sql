WITH steps AS (DELETE FROM second_steps WHERE user_id = $1)
DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2 RETURNING id
