SELECT key FROM log_values WHERE topic = $1 AND partition = $2
