UPDATE webhook_endpoints SET url = $2, events = $3, disabled_ms = CASE WHEN $4 THEN NULL ELSE coalesce(disabled_ms, $5) END,
    disabled_reason = CASE WHEN $4 THEN '' WHEN disabled_ms IS NULL THEN 'switched off' ELSE disabled_reason END,
    failing_since_ms = CASE WHEN $4 AND disabled_ms IS NOT NULL THEN NULL ELSE failing_since_ms END
WHERE id = $1 RETURNING id
