SELECT s.issuer, s.client_id, s.client_secret, s.required, s.first_role, s.changed_ms,
       ARRAY(SELECT d.domain FROM single_sign_on_domains d WHERE d.tenant = s.tenant ORDER BY d.domain)
FROM single_sign_on s
