SELECT organisation_by_name($1)
