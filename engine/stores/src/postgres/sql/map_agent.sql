INSERT INTO workspace_agents (tenant, agent_id, business, name) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, agent_id) DO UPDATE SET business = excluded.business, mapped_at = now(),
    name = CASE WHEN excluded.name = '' THEN workspace_agents.name ELSE excluded.name END
