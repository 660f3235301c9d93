INSERT INTO recovery_codes (tenant, user_id, code_hash) SELECT $1, $2, unnest($3::bytea[])
