SELECT renew_session($1, $2, $3, $4, $5)
