SELECT 1 FROM second_steps WHERE user_id = $1 AND token_hash = $2
