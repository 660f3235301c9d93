-- Every place the table has for some calls, cancelled ones too: not FINAL on purpose, the versions themselves are wanted.
SELECT tenant, kind, call_id, business, opened_at, max(version) AS highest, argMax(is_deleted, version) AS cancelled
FROM calls
WHERE has({ids: Array(String)}, call_id)
GROUP BY tenant, kind, call_id, business, opened_at
