SELECT tenant, agent_id, business FROM all_agents() ORDER BY tenant, agent_id
