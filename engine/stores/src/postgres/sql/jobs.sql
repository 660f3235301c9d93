SELECT id, kind, subject, topic, state, tries, due_ms, created_ms, ended_ms, error FROM jobs
WHERE ($1::text IS NULL OR state = $1) ORDER BY created_ms DESC, id LIMIT $2
