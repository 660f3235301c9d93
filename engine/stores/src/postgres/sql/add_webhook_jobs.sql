INSERT INTO jobs (tenant, id, kind, subject, topic, body, due_ms, created_ms)
SELECT $1, gen_random_uuid(), 'webhook', e.id, a.topic, a.body, $5, $5
FROM unnest($2::uuid[], $3::text[], $4::text[]) AS a (business, topic, body)
JOIN webhook_endpoints e ON e.tenant = $1 AND (e.business IS NULL OR e.business = a.business) AND a.topic = ANY(e.events)
WHERE e.disabled_ms IS NULL
