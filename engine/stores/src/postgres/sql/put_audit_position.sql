INSERT INTO audit_positions (log_name, partition, next_offset, again_offset, to_ms, passed_ms) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (log_name, partition) DO UPDATE SET
    next_offset = excluded.next_offset, again_offset = excluded.again_offset, to_ms = excluded.to_ms, passed_ms = excluded.passed_ms
