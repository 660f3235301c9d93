UPDATE reconciler_findings
SET filled = CASE WHEN cardinality($3::text[]) > 0 THEN $3 ELSE filled END,
    tries = tries + CASE WHEN cardinality($3::text[]) > 0 THEN 1 ELSE 0 END,
    healed_ms = $4, problem = $5
WHERE id = $1 AND workspace = $2 RETURNING id
