-- Every place the tables have for some calls, cancelled ones too: not FINAL on purpose, the versions themselves are wanted. Of both tables,
-- because a writer that died between them has left a place in one only; a place is cancelled when no table has it live.
SELECT tenant, kind, call_id, business, opened_at, max(newest) AS highest, min(deleted) AS cancelled
FROM (
    SELECT tenant, kind, call_id, business, opened_at, max(version) AS newest, argMax(is_deleted, version) AS deleted
    FROM calls
    WHERE has({ids: Array(String)}, call_id)
    GROUP BY tenant, kind, call_id, business, opened_at
    UNION ALL
    SELECT tenant, kind, call_id, business, opened_at, max(version) AS newest, argMax(is_deleted, version) AS deleted
    FROM transcripts
    WHERE has({ids: Array(String)}, call_id)
    GROUP BY tenant, kind, call_id, business, opened_at
)
GROUP BY tenant, kind, call_id, business, opened_at
