WITH began AS (
    UPDATE webhook_endpoints SET failing_since_ms = $2 WHERE id = $1 AND failing_since_ms IS NULL RETURNING failing_since_ms
)
SELECT failing_since_ms FROM began
UNION ALL
SELECT failing_since_ms FROM webhook_endpoints WHERE id = $1 AND failing_since_ms IS NOT NULL
LIMIT 1
