SELECT domain, token, proved_ms, proved_by, looked_ms, found FROM single_sign_on_domains ORDER BY domain
