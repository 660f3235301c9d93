SELECT forget_dead_sessions($1)
