SELECT id FROM sessions WHERE id = (SELECT session FROM refresh_tokens WHERE token_hash = $1) FOR UPDATE
