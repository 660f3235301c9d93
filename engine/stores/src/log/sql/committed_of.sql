SELECT partition, next_offset, intent FROM log_groups WHERE group_name = $1 AND partition = ANY ($2)
