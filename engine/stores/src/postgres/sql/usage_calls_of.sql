SELECT c.kind, c.call_id, c.partition, c.evidence, c.told, c.workspace, c.owner_agent, c.opened_ms, c.business, c.zone, c.day,
       c.calls, c.connected, c.timed, c.talk_ms, c.chats, c.priced, c.cost_microcents, c.transfer_leg_microcents
FROM usage_calls c JOIN unnest($1::text[], $2::text[]) AS wanted (kind, call_id) ON wanted.kind = c.kind AND wanted.call_id = c.call_id
