SELECT tenant, id, email, name, role, password_hash, disabled FROM user_by_email($1)
