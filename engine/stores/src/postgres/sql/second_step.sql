SELECT tenant, user_id, name FROM second_step($1, $2)
