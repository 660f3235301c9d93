UPDATE single_sign_on_domains SET looked_ms = $2, found = $3 WHERE domain = $1 RETURNING domain
