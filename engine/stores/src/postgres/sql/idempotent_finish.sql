UPDATE idempotent_requests SET status = $2, location = $3, answer = $4 WHERE id = $1 RETURNING id
