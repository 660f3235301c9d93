SELECT pg_try_advisory_lock(hashtextextended('reconciler ' || $1::text, 0))
