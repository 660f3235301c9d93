UPDATE webhook_endpoints SET failing_since_ms = coalesce(failing_since_ms, $2) WHERE id = $1 RETURNING failing_since_ms
