SELECT f.secret, f.confirmed, f.created_ms,
       (SELECT count(*) FROM recovery_codes c WHERE c.user_id = f.user_id)
FROM second_factors f WHERE f.user_id = $1
