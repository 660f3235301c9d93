SELECT log_forget($1, $2, $3)
