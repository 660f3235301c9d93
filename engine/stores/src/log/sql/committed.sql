SELECT partition, next_offset FROM log_groups WHERE group_name = $1 ORDER BY partition
