SELECT log_open($1)
