UPDATE users SET role = $2, disabled = $3 WHERE id = $1 RETURNING id
