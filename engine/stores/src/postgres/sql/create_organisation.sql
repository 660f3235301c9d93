INSERT INTO organisations (id, name) VALUES ($1, $2)
