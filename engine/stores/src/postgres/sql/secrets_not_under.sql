SELECT tenant, place, id, stored FROM stored_secrets()
WHERE (place, id) > ($1, $2) AND EXISTS (SELECT FROM unnest(stored) AS value WHERE NOT starts_with(value, $3))
ORDER BY place, id LIMIT $4
