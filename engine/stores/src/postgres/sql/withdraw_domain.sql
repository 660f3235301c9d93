UPDATE single_sign_on_domains SET proved_ms = NULL, proved_by = NULL WHERE domain = $1 AND proved_ms IS NOT NULL RETURNING domain
