SELECT tenant, id, user_id, email, name, organisation FROM password_reset_by_token($1, $2)
