SELECT id, business, url, events, created_ms, failing_since_ms, disabled_ms, disabled_reason FROM webhook_endpoints
WHERE $1::uuid IS NULL OR id = $1 ORDER BY created_ms, id
