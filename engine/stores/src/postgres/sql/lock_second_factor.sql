SELECT secret, confirmed, last_step, wrong, wrong_since_ms FROM second_factors WHERE user_id = $1 FOR UPDATE
