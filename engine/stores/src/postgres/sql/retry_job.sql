UPDATE jobs SET state = 'queued', due_ms = $2, tries = 0, ended_ms = NULL
WHERE id = $1 AND state IN ('queued', 'dead', 'cancelled') RETURNING id
