-- How many calls match, counted no further than a limit: beyond it "more than" is said.
SELECT count()
FROM (
    SELECT 1
    FROM calls FINAL
    WHERE {matching}
    LIMIT {limit: UInt32}
)
