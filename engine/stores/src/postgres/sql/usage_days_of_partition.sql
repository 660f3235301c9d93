SELECT business, day, calls, connected, timed, talk_ms, chats, priced, cost_microcents::text, transfer_leg_microcents::text
FROM usage_days WHERE partition = $1 ORDER BY business, day
