-- From $2 on, at most $3 records and about $4 bytes, but always at least one. Sizes are known without unpacking.
SELECT record_offset, appended_ms, body FROM (
    SELECT record_offset, appended_ms, body, sum(octet_length(body)) OVER (ORDER BY record_offset) AS total
    FROM log_records
    WHERE partition = $1 AND record_offset >= $2 AND record_offset < $2::bigint + $3::bigint
) AS found
WHERE total <= $4::bigint OR record_offset = $2
ORDER BY record_offset
