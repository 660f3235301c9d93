UPDATE workspace_secrets SET signing_keys = $2, retell_api_key = $3 WHERE workspace = $1
