DELETE FROM single_sign_on WHERE tenant = $1 RETURNING tenant
