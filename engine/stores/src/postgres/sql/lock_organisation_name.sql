SELECT pg_advisory_xact_lock(hashtextextended('organisation ' || $1::text, 0))::text
