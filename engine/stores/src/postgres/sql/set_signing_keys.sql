UPDATE workspace_secrets SET signing_keys = $2 WHERE workspace = $1 RETURNING workspace
