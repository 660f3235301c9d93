SELECT agent_id, business, name FROM workspace_agents ORDER BY agent_id
