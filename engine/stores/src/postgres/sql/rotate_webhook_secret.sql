SELECT id FROM rotate_webhook_secret($1, $2, $3) AS id WHERE id IS NOT NULL
