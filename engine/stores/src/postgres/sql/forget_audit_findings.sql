DELETE FROM audit_findings WHERE repaired_ms < $1 RETURNING id
