INSERT INTO reconciled (tenant, workspace, to_ms, passed_ms, deep_ms, audited_ms, next_ms, failures, waits_for)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant, workspace) DO UPDATE SET
    to_ms = greatest(reconciled.to_ms, excluded.to_ms), passed_ms = excluded.passed_ms, deep_ms = excluded.deep_ms,
    audited_ms = excluded.audited_ms, next_ms = excluded.next_ms, failures = excluded.failures, waits_for = excluded.waits_for
