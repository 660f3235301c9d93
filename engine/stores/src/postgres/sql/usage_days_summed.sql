-- Some days of a partition twice, as of one moment: the kept sums, and what their calls add up to.
WITH wanted AS (SELECT DISTINCT * FROM unnest($3::uuid[], $4::text[]) AS w (business, day))
SELECT d.business, d.day, d.calls, d.connected, d.timed, d.talk_ms, d.chats, d.priced, d.cost_microcents::text,
       d.transfer_leg_microcents::text, true AS kept
FROM usage_days d JOIN wanted w ON w.business = d.business AND w.day = d.day
WHERE d.tenant = $1 AND d.partition = $2
UNION ALL
SELECT c.business, c.day, sum(c.calls)::bigint, sum(c.connected)::bigint, sum(c.timed)::bigint, sum(c.talk_ms)::bigint,
       sum(c.chats)::bigint, sum(c.priced)::bigint, sum(c.cost_microcents)::text, sum(c.transfer_leg_microcents)::text, false
FROM usage_calls c JOIN wanted w ON w.business = c.business AND w.day = c.day
WHERE c.tenant = $1 AND c.partition = $2
GROUP BY c.business, c.day
