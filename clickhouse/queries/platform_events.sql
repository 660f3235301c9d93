-- What came from each organisation lately. All tenants: this is the platform's question, and counts and times are all it learns. A record
-- that was written twice may count twice until it is merged.
SELECT tenant, count() AS records, countIf(received_at >= fromUnixTimestamp64Milli({minute: Int64}, 'UTC')) AS last_minute,
       countIf(set_aside != '') AS set_aside, toUnixTimestamp64Milli(max(received_at)) AS last_at
FROM events
WHERE received_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
GROUP BY tenant
