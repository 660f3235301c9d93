UPDATE single_sign_on_domains SET proved_ms = $2, proved_by = $3, looked_ms = coalesce($4, looked_ms), found = coalesce($5, found)
WHERE domain = $1 AND proved_ms IS NULL
RETURNING domain
