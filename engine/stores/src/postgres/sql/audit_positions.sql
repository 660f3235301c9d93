SELECT partition, next_offset, again_offset, to_ms, passed_ms FROM audit_positions WHERE log_name = $1 ORDER BY partition
