SELECT single_sign_on_by_domain($1)
