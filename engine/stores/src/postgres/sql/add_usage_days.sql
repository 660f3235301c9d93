INSERT INTO usage_days AS d (tenant, business, day, partition, calls, connected, timed, talk_ms, chats, priced, cost_microcents,
                             transfer_leg_microcents)
SELECT $1, a.business, a.day, a.partition, a.calls, a.connected, a.timed, a.talk_ms, a.chats, a.priced, a.cost::numeric, a.leg::numeric
FROM unnest($2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
            $11::text[], $12::text[])
    AS a (business, day, partition, calls, connected, timed, talk_ms, chats, priced, cost, leg)
ON CONFLICT (tenant, business, day, partition) DO UPDATE SET
    calls = d.calls + excluded.calls, connected = d.connected + excluded.connected, timed = d.timed + excluded.timed,
    talk_ms = d.talk_ms + excluded.talk_ms, chats = d.chats + excluded.chats, priced = d.priced + excluded.priced,
    cost_microcents = d.cost_microcents + excluded.cost_microcents,
    transfer_leg_microcents = d.transfer_leg_microcents + excluded.transfer_leg_microcents
