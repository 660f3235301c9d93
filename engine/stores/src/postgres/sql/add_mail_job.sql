INSERT INTO jobs (tenant, id, kind, subject, topic, body, due_ms, created_ms) VALUES ($1, gen_random_uuid(), 'mail', $2, $3, '', $4, $4)
