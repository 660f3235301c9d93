UPDATE jobs SET state = 'cancelled', ended_ms = $2 WHERE id = $1 AND state = 'queued' RETURNING id
