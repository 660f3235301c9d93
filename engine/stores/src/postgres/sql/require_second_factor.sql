UPDATE organisations SET second_factor = $1 WHERE $2::text IS NULL OR second_factor = $2 RETURNING id
