-- In portions by key, so that no statement lasts as long as its reader takes.
SELECT key, body FROM log_values WHERE topic = $1 AND partition = $2 AND key > $3 ORDER BY key LIMIT $4
