SELECT first_role FROM single_sign_on WHERE issuer = $1 AND client_id = $2 FOR UPDATE
