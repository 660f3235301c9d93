UPDATE organisations SET second_factor = $1 RETURNING id
