SELECT number FROM (
    SELECT wanted.number, pg_try_advisory_lock(wanted.key) AS won FROM unnest($1::integer[], $2::bigint[]) AS wanted (number, key)
) AS tried WHERE won
