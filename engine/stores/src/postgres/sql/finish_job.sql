UPDATE jobs SET state = $3, ended_ms = $4, error = $5, worker = NULL, lease_ms = NULL
WHERE id = $1 AND worker = $2 AND state = 'running' RETURNING id
