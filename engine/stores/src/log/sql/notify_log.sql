SELECT pg_notify('trunkline_log', $1)
