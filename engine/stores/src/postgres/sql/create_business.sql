INSERT INTO businesses (tenant, id, name, zone, day_start_minute, concurrency_limit, targets)
VALUES ($1, $2, $3, $4, $5, $6, $7)
