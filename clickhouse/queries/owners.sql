-- Which agents' calls stand in which business: compared with the directory after it has changed.
SELECT tenant, workspace, owner_agent, business, count() AS calls
FROM calls FINAL
WHERE has({partitions: Array(UInt32)}, log_partition)
GROUP BY tenant, workspace, owner_agent, business
