INSERT INTO workspaces (tenant, id, name, unassigned) VALUES ($1, $2, $3, $4)
