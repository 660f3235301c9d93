-- How many records of each class were received in an interval, each record once.
SELECT event, kind != '' AS of_a_call, source, set_aside, count() AS records, uniqExact(kind, call_id) AS calls
FROM events FINAL
WHERE tenant = {tenant: UUID}
  AND received_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
  AND received_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')
GROUP BY event, of_a_call, source, set_aside
ORDER BY event, of_a_call, source, set_aside
