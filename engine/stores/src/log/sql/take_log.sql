UPDATE log_known SET identity = $1, since = now() RETURNING identity
