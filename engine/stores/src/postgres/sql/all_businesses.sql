SELECT tenant, id, name, zone, day_start_minute, concurrency_limit, targets FROM all_businesses() ORDER BY id
