INSERT INTO usage_calls (tenant, kind, call_id, partition, evidence, told, workspace, owner_agent, opened_ms, business, zone, day,
                         calls, connected, timed, talk_ms, chats, priced, cost_microcents, transfer_leg_microcents)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::integer[], $5::bytea[], $6::smallint[], $7::uuid[], $8::text[], $9::bigint[],
                         $10::uuid[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
                         $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[])
ON CONFLICT (tenant, kind, call_id) DO UPDATE SET
    partition = excluded.partition, evidence = excluded.evidence, told = excluded.told, workspace = excluded.workspace,
    owner_agent = excluded.owner_agent, opened_ms = excluded.opened_ms, business = excluded.business, zone = excluded.zone,
    day = excluded.day, calls = excluded.calls, connected = excluded.connected, timed = excluded.timed, talk_ms = excluded.talk_ms,
    chats = excluded.chats, priced = excluded.priced, cost_microcents = excluded.cost_microcents,
    transfer_leg_microcents = excluded.transfer_leg_microcents
