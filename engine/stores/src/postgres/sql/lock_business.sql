SELECT id, name, zone, day_start_minute, concurrency_limit, targets FROM businesses WHERE id = $1 FOR UPDATE
