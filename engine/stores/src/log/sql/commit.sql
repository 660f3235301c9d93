INSERT INTO log_groups (group_name, partition, next_offset) VALUES ($1, $2, $3)
ON CONFLICT (group_name, partition) DO UPDATE SET next_offset = excluded.next_offset, committed_at = now()
