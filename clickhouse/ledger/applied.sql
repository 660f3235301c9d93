SELECT step, name, checksum FROM schema_steps FINAL ORDER BY step
