DELETE FROM second_steps WHERE user_id = $1
