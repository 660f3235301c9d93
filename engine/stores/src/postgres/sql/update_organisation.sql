UPDATE organisations
SET name = $1, plan = $2, suspended_ms = $3, suspended_why = $4, intake_per_second = $5, concurrency_limit = $6, api_keys_max = $7
