INSERT INTO audit_findings AS f (id, log_name, partition, kind, first_offset, last_offset, subject, owner, expected, found, found_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (log_name, partition, kind, subject, first_offset) DO UPDATE SET
    last_offset = greatest(f.last_offset, excluded.last_offset), expected = excluded.expected, found = excluded.found,
    found_ms = CASE WHEN f.repaired_ms IS NULL THEN f.found_ms ELSE excluded.found_ms END,
    id = CASE WHEN f.repaired_ms IS NULL THEN f.id ELSE excluded.id END,
    tries = f.tries + 1, repaired_ms = NULL
RETURNING id, tries
