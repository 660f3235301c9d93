SELECT tenant, id, name, scopes, businesses FROM api_key_access($1, $2)
