SELECT tenant, id, email, name, organisation FROM invitation_by_token($1, $2)
