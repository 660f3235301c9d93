SELECT forget_idempotent_requests($1, $2)
