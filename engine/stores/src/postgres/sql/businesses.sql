SELECT id, name, zone, day_start_minute, concurrency_limit, targets FROM businesses WHERE $1::uuid IS NULL OR id = $1 ORDER BY name, id
