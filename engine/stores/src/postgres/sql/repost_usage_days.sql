-- The sums of some days of a partition, added up again from its calls.
WITH wanted AS (SELECT DISTINCT * FROM unnest($3::uuid[], $4::text[]) AS w (business, day))
INSERT INTO usage_days (tenant, business, day, partition, calls, connected, timed, talk_ms, chats, priced, cost_microcents,
                        transfer_leg_microcents)
SELECT $1, w.business, w.day, $2::integer, coalesce(sum(c.calls), 0)::bigint, coalesce(sum(c.connected), 0)::bigint,
       coalesce(sum(c.timed), 0)::bigint, coalesce(sum(c.talk_ms), 0)::bigint, coalesce(sum(c.chats), 0)::bigint,
       coalesce(sum(c.priced), 0)::bigint, coalesce(sum(c.cost_microcents), 0), coalesce(sum(c.transfer_leg_microcents), 0)
FROM wanted w
LEFT JOIN usage_calls c ON c.tenant = $1 AND c.business = w.business AND c.day = w.day AND c.partition = $2
GROUP BY w.business, w.day
ON CONFLICT (tenant, business, day, partition) DO UPDATE SET
    calls = excluded.calls, connected = excluded.connected, timed = excluded.timed, talk_ms = excluded.talk_ms,
    chats = excluded.chats, priced = excluded.priced, cost_microcents = excluded.cost_microcents,
    transfer_leg_microcents = excluded.transfer_leg_microcents
