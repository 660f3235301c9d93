INSERT INTO organisations (id, name, platform, second_factor) VALUES ($1, $2, true, 'everybody')
