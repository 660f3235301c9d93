SELECT id, name, plan, suspended_ms, suspended_why, intake_per_second, concurrency_limit, api_keys_max, created_ms, people, businesses,
       workspaces, api_keys, failing_webhooks
FROM platform_organisations($1)
