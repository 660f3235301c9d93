-- One row per turn, tool call, latency sample and transfer, for people and tools that query ClickHouse themselves. Views over the
-- one live row of each call, so they can neither disagree with it nor keep what a later version of the call no longer has.
CREATE VIEW IF NOT EXISTS turns {on_cluster} AS
SELECT tenant, business, opened_at, kind, call_id, item, item_role AS role, item_content AS content,
       item_start_ms AS start_ms, item_end_ms AS end_ms
FROM transcripts FINAL
ARRAY JOIN arrayEnumerate(content) AS item, role AS item_role, content AS item_content, start_ms AS item_start_ms,
           end_ms AS item_end_ms
WHERE item_role IN ('agent', 'user', 'transfer_target');

CREATE VIEW IF NOT EXISTS tool_calls {on_cluster} AS
SELECT tenant, business, opened_at, kind, call_id, item, item_tool AS tool, item_type AS tool_type, item_id AS tool_call_id,
       item_content AS arguments, item_start_ms AS start_ms,
       indexOf(answers, item_id) AS answer,
       if(item_id = '' OR answer = 0, NULL, starts[answer]) AS result_ms,
       if(item_id = '' OR answer = 0, NULL, outcomes[answer]) AS succeeded,
       if(item_id = '' OR answer = 0, '', texts[answer]) AS result
FROM (
    SELECT tenant, business, opened_at, kind, call_id, role AS roles, content AS texts, start_ms AS starts, tool AS tools,
           tool_type AS types, tool_call_id AS ids, successful AS outcomes,
           arrayMap((who, id) -> if(who = 'tool_result', id, ''), role, tool_call_id) AS answers
    FROM transcripts FINAL
)
ARRAY JOIN arrayEnumerate(texts) AS item, roles AS item_role, texts AS item_content, starts AS item_start_ms,
           tools AS item_tool, types AS item_type, ids AS item_id
WHERE item_role = 'tool_call';

CREATE VIEW IF NOT EXISTS latency_samples {on_cluster} AS
SELECT tenant, business, opened_at, closed_at, kind, call_id, agent_id, direction, stage, sample_ms
FROM (
    SELECT tenant, business, opened_at, closed_at, kind, call_id, agent_id, direction, stage, samples
    FROM calls FINAL
    ARRAY JOIN mapKeys(latency) AS stage, mapValues(latency) AS samples
)
ARRAY JOIN samples AS sample_ms;

CREATE VIEW IF NOT EXISTS transfers {on_cluster} AS
SELECT tenant, business, opened_at, kind, call_id, agent_id, attempt, destination, extension, started_at, bridged_at,
       cancelled_at, finished_at, inferred, waited_ms
FROM (SELECT * EXCEPT (started_at) FROM calls FINAL)
ARRAY JOIN arrayEnumerate(transfer_destination) AS attempt, transfer_destination AS destination,
           transfer_extension AS extension, transfer_started_at AS started_at, transfer_bridged_at AS bridged_at,
           transfer_cancelled_at AS cancelled_at, transfer_finished_at AS finished_at, transfer_inferred AS inferred,
           transfer_waited_ms AS waited_ms;
