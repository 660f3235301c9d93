INSERT INTO notices (tenant, workspace, kind, subject, first_seen_ms, last_seen_ms, seen) VALUES ($1, $2, $3, $4, $5, $5, $6)
ON CONFLICT (tenant, workspace, kind, subject) DO UPDATE
    SET last_seen_ms = greatest(notices.last_seen_ms, excluded.last_seen_ms), seen = notices.seen + excluded.seen, settled_at = NULL
