SELECT id, public_key, private_key, signs_from_ms, created_ms FROM accepted_token_keys($1)
