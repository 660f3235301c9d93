SELECT kind, count(*) FILTER (WHERE repaired_ms IS NULL), count(*) FILTER (WHERE repaired_ms >= $2)
FROM audit_findings WHERE log_name = $1 AND (repaired_ms IS NULL OR repaired_ms >= $2) GROUP BY kind
