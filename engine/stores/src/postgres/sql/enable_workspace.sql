UPDATE workspaces SET enabled = $2 WHERE id = $1 RETURNING id
