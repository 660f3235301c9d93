SELECT s.begins_offset, p.next_offset FROM log_partitions p JOIN log_starts s ON s.partition = p.partition
WHERE p.partition = $1
