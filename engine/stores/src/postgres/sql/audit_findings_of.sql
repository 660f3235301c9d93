-- What a finding says of a call or business is for its owner; the others see that there is one, and where.
SELECT id, partition, kind, first_offset, last_offset,
       CASE WHEN owner IS NULL OR owner = $2 THEN subject ELSE '' END,
       CASE WHEN owner IS NULL OR owner = $2 THEN expected ELSE '' END,
       CASE WHEN owner IS NULL OR owner = $2 THEN found ELSE '' END,
       found_ms, tries, repaired_ms, done
FROM audit_findings
WHERE log_name = $1 AND (NOT $3 OR repaired_ms IS NULL) AND ($4::uuid IS NULL OR id < $4)
ORDER BY id DESC LIMIT $5
