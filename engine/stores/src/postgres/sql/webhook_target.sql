SELECT url, secret, disabled FROM webhook_target($1)
