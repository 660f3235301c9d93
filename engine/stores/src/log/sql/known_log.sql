-- The log that was noted first, which is $1 when there was none.
WITH noted AS (
    INSERT INTO log_known (identity) VALUES ($1) ON CONFLICT (sole) DO NOTHING RETURNING identity
)
SELECT identity FROM noted UNION ALL SELECT identity FROM log_known LIMIT 1
