-- Calls of a partition of the log by business, with what the auditor adds up. All tenants.
SELECT tenant, business, count() AS all_calls, countIf(connected) AS all_connected,
       sum(if(connected, ifNull(duration_ms, 0), 0)) AS all_talk_ms
FROM calls FINAL
WHERE log_partition = {partition: UInt32}
GROUP BY tenant, business
ORDER BY tenant, business
