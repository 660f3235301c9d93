SELECT id, name, platform, suspended, intake_per_second, concurrency_limit FROM organisation_directory() ORDER BY id
