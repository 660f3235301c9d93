SELECT log_put_values($1, $2, $3, $4, $5)
