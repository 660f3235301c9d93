SELECT id, workspace, call_id, kind, agent_id, ended_ms, found_ms, tries, filled, healed_ms, problem FROM reconciler_findings
WHERE ($1::uuid IS NULL OR workspace = $1) AND (NOT $2 OR healed_ms IS NULL) AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4
