DELETE FROM single_sign_on_domains WHERE NOT domain = ANY ($1)
