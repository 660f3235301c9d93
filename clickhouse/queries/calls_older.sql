-- A page of calls, newest first, behind a cursor.
SELECT business, workspace, opened_at, closed_at, last_received_at, kind, call_id, agent_id, agent_name, agent_version, channel, direction,
       from_number, to_number, state, end_inferred, presumed_ended, reason, reason_class, connected, duration_ms, analysed, summary,
       successful, sentiment, in_voicemail, turns, tool_calls, tool_failures, toUInt32(length(transfer_destination)) AS transfers,
       ifNull(cost_combined_cents, cost_parts_cents) AS cost_cents, language, last_said
FROM calls FINAL
WHERE {matching}
  AND ({cursor_id: String} = ''
       OR (opened_at, call_id, kind) < (fromUnixTimestamp64Milli({cursor_at: Int64}, 'UTC'), {cursor_id: String}, {cursor_kind: String}))
ORDER BY opened_at DESC, call_id DESC, kind DESC
LIMIT {limit: UInt32}
