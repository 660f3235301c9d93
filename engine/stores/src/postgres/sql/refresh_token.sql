SELECT used_ms, seed FROM refresh_tokens WHERE token_hash = $1
