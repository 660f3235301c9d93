UPDATE businesses SET name = $2, zone = $3, day_start_minute = $4, concurrency_limit = $5, targets = $6
WHERE id = $1 RETURNING id
