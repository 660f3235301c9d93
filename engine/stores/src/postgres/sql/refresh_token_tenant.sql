SELECT refresh_token_tenant($1)
