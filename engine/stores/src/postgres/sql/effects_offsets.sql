SELECT partition, epoch, next_offset, committed_ms FROM effects_offsets WHERE log_name = $1 ORDER BY partition
