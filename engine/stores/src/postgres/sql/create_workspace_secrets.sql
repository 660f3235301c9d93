INSERT INTO workspace_secrets (tenant, workspace, intake_token, signing_keys, retell_api_key) VALUES ($1, $2, $3, $4, $5)
