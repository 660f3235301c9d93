SELECT next_offset FROM effects_offsets WHERE log_name = $1 AND partition = $2 FOR UPDATE
