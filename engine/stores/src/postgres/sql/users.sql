SELECT tenant, id, email, name, role, password_hash, disabled FROM users ORDER BY email
