SELECT required FROM single_sign_on
