INSERT INTO single_sign_on_domains (domain, tenant)
SELECT wanted, $1 FROM unnest($2::text[]) AS wanted
WHERE NOT EXISTS (SELECT 1 FROM single_sign_on_domains d WHERE d.domain = wanted)
