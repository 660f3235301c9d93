UPDATE jobs SET state = 'queued', due_ms = $3, error = $4, worker = NULL, lease_ms = NULL
WHERE id = $1 AND worker = $2 AND state = 'running' RETURNING id
