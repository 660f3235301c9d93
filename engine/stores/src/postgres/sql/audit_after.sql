SELECT number, at_ms, actor, actor_id, actor_name, source, request_id, action, object, object_id, before, after, hash
FROM audit_entries
WHERE number > $1 AND number <= $2
ORDER BY number
LIMIT $3
