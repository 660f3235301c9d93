SELECT CASE WHEN starts_with(value, $1) THEN split_part(value, '.', 2) ELSE '' END, count(*)
FROM stored_secrets() AS s, unnest(s.stored) AS value GROUP BY 1 ORDER BY 1
