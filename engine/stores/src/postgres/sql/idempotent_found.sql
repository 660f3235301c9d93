SELECT id, request_hash, status, location, answer FROM idempotent_requests WHERE actor = $1 AND key_hash = $2
