INSERT INTO log_claims AS claimed (topic, partition, epoch) VALUES ($1, $2, 1)
ON CONFLICT (topic, partition) DO UPDATE SET epoch = claimed.epoch + 1
RETURNING epoch
