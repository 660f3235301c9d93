SELECT id FROM log_identity
