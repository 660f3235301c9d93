SELECT tenant, id, name, enabled, unassigned, allowed_sources, rate_per_second, intake_token, signing_keys, retell_api_key
FROM all_workspaces() ORDER BY id
