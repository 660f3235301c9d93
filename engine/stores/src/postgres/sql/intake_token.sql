SELECT intake_token_of($1)
