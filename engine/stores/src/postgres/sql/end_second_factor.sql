WITH steps AS (DELETE FROM second_steps WHERE user_id = $1)
DELETE FROM second_factors WHERE user_id = $1 RETURNING user_id
