UPDATE workspaces SET name = $2, enabled = $3, allowed_sources = ($4::text[])::cidr[], rate_per_second = $5 WHERE id = $1
