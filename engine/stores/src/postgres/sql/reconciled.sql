SELECT workspace, to_ms, passed_ms, deep_ms, audited_ms, next_ms, failures, waits_for FROM reconciled
WHERE $1::uuid IS NULL OR workspace = $1
