SELECT number, at_ms, actor, actor_id, actor_name, source, request_id, action, object, object_id, before, after, hash
FROM audit_entries
WHERE number > $1
  AND ($2::uuid IS NULL OR actor_id = $2)
  AND ($3::text IS NULL OR action = $3 OR starts_with(action, $3 || '.'))
  AND ($4::text IS NULL OR object = $4)
  AND ($5::text IS NULL OR object_id = $5)
  AND ($6::bigint IS NULL OR at_ms >= $6)
  AND ($7::bigint IS NULL OR at_ms < $7)
  AND ($8::text IS NULL OR position(lower($8) IN lower(concat_ws(' ', actor_name, action, object_id, source))) > 0)
ORDER BY number
LIMIT $9
