INSERT INTO effects_offsets AS o (log_name, partition, epoch, next_offset) VALUES ($1, $2, 1, $3)
ON CONFLICT (log_name, partition) DO UPDATE SET epoch = o.epoch + 1, next_offset = $3 RETURNING epoch
