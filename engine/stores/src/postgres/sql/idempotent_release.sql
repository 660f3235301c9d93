DELETE FROM idempotent_requests WHERE id = $1 AND status IS NULL
