-- The whole story of one call.
SELECT business, version, facts
FROM calls FINAL
WHERE tenant = {tenant: UUID} AND kind = {kind: String} AND call_id = {id: String}
ORDER BY version DESC
LIMIT 1
