UPDATE jobs SET state = 'cancelled', ended_ms = $2, error = 'its endpoint was deleted' WHERE subject = $1 AND state = 'queued'
