WITH steps AS (DELETE FROM second_steps WHERE user_id = $1),
     renewed AS (UPDATE sessions SET must_renew = true WHERE user_id = $1 AND kind = 'browser')
DELETE FROM second_factors WHERE user_id = $1 RETURNING user_id
