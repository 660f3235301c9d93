SELECT id, partition, kind, first_offset, last_offset, subject, expected, found, found_ms, tries, repaired_ms, done
FROM audit_findings WHERE log_name = $1 AND repaired_ms IS NULL ORDER BY id LIMIT $2
