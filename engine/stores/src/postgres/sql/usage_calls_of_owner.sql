SELECT kind, call_id FROM usage_calls
WHERE partition = ANY($1) AND workspace = $2 AND owner_agent = $3 AND business = $4 AND zone = $5 LIMIT $6
