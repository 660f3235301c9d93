SELECT taken_partition, first_offset, record_count FROM log_append($1, $2)
