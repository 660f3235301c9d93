UPDATE webhook_endpoints SET disabled_ms = $2, disabled_reason = $3 WHERE id = $1 AND disabled_ms IS NULL RETURNING id
