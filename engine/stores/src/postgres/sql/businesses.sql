SELECT id, name, zone, day_start_minute, concurrency_limit, targets FROM businesses ORDER BY name, id
