-- Weak enough for rows that name the organisation; see api_keys_room.sql.
SELECT id, name, plan, suspended_ms, suspended_why, intake_per_second, concurrency_limit, api_keys_max FROM organisations
WHERE NOT platform FOR NO KEY UPDATE
