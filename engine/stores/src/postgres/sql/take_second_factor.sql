UPDATE second_factors SET confirmed = true, last_step = greatest(last_step, $2), wrong = 0 WHERE user_id = $1 RETURNING user_id
