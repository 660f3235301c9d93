INSERT INTO reconciler_findings AS f (tenant, id, workspace, call_id, kind, agent_id, ended_ms, found_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant, workspace, call_id, kind) DO UPDATE SET ended_ms = coalesce(excluded.ended_ms, f.ended_ms), healed_ms = NULL
RETURNING id, tries
