INSERT INTO single_sign_on_domains (domain, tenant)
SELECT wanted, $1 FROM unnest($2::text[]) AS wanted
ON CONFLICT (tenant, domain) DO NOTHING
