SELECT id, name, enabled, unassigned, allowed_sources::text[], rate_per_second FROM workspaces ORDER BY name, id
