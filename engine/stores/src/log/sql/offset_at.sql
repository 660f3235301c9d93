SELECT log_offset_at($1, $2)
