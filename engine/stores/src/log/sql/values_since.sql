-- Values written by this transaction or a later one. Rows keep the lower 32 bits of theirs, which are compared as a circle.
SELECT key, body FROM log_values
WHERE topic = $1 AND partition = $2
  AND (((xmin::text::bigint - ($3::bigint & 4294967295)) + 4294967296) & 4294967295) < 2147483648
