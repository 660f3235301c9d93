SELECT forget_jobs($1, $2)
