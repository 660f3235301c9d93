SELECT workspace, owner_agent, business, zone FROM usage_calls WHERE partition = ANY($1)
GROUP BY workspace, owner_agent, business, zone
