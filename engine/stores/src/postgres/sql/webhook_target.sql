SELECT url, secret, previous, disabled FROM webhook_target($1, $2)
