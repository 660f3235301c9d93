UPDATE workspace_secrets SET retell_api_key = $2 WHERE workspace = $1 RETURNING workspace
