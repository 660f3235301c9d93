UPDATE audit_findings SET repaired_ms = $2, done = $3 WHERE id = $1 RETURNING id
