UPDATE workspaces SET allowed_sources = ($2::text[])::cidr[], rate_per_second = $3 WHERE id = $1 RETURNING id
