SELECT workspace, kind, subject, first_seen_ms, last_seen_ms, seen FROM notices
WHERE settled_at IS NULL ORDER BY last_seen_ms DESC, kind, subject
