SELECT s.issuer, s.client_id, s.client_secret, s.required, s.first_role, s.changed_ms FROM single_sign_on s
