WITH moved AS (UPDATE audit_heads SET written = $2, hash = $14 WHERE tenant = $1)
INSERT INTO audit_entries (tenant, number, at_ms, actor, actor_id, actor_name, source, request_id, action, object, object_id, before, after, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
