SELECT partition, next_offset FROM log_partitions
