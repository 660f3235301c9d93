SELECT business, day, sum(calls)::bigint, sum(connected)::bigint, sum(timed)::bigint, sum(talk_ms)::bigint, sum(chats)::bigint,
       sum(priced)::bigint, sum(cost_microcents)::text, sum(transfer_leg_microcents)::text
FROM usage_days WHERE day >= $1 AND day < $2 AND ($3::uuid IS NULL OR business = $3)
GROUP BY business, day ORDER BY business, day
