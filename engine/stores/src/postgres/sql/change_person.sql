UPDATE users SET role = $2, disabled = $3, rights = rights + 1 WHERE id = $1 RETURNING id
