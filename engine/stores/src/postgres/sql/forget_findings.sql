DELETE FROM reconciler_findings WHERE healed_ms < $1 RETURNING id
