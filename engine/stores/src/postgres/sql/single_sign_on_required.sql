SELECT required AND EXISTS (SELECT 1 FROM single_sign_on_domains d WHERE d.tenant = s.tenant AND d.proved_ms IS NOT NULL) FROM single_sign_on s
