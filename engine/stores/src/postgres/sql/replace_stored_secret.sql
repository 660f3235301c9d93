SELECT replace_stored_secret($1, $2, $3, $4)
