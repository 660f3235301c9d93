SELECT kind, open FROM count_open_jobs()
