SELECT end_session($1)
