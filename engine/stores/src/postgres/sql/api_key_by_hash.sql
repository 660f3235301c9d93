SELECT tenant, id, name, scopes FROM api_key_by_hash($1)
