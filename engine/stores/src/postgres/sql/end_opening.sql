UPDATE platform_openings SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL RETURNING id
