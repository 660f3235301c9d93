UPDATE second_factors SET wrong = $2, wrong_since_ms = $3 WHERE user_id = $1
