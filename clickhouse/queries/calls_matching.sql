-- The condition that the call list and its count share; put in place of {matching}.
tenant = {tenant: UUID}
AND ({sees_all: Bool} OR has({sees: Array(UUID)}, business) OR has({sees_agents: Array(String)}, concat(toString(business), '/', agent_id)))
AND opened_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
AND opened_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')
AND (empty({businesses: Array(UUID)}) OR has({businesses: Array(UUID)}, business))
AND ({kind: String} = '' OR kind = {kind: String})
AND (empty({agents: Array(String)}) OR has({agents: Array(String)}, agent_id))
AND (empty({directions: Array(String)}) OR has({directions: Array(String)}, direction))
AND (empty({channels: Array(String)}) OR has({channels: Array(String)}, channel))
AND (empty({states: Array(String)}) OR has({states: Array(String)}, state))
AND (empty({reason_classes: Array(String)}) OR has({reason_classes: Array(String)}, reason_class))
AND (empty({reasons: Array(String)}) OR has({reasons: Array(String)}, reason))
AND (empty({sentiments: Array(String)}) OR has({sentiments: Array(String)}, sentiment))
AND ({successful: Int8} = -1 OR successful = {successful: Int8})
AND ({transferred: Int8} = -1 OR notEmpty(transfer_destination) = {transferred: Int8})
AND (NOT {by_close: Bool} OR (closed_at >= fromUnixTimestamp64Milli({closed_from: Int64}, 'UTC')
                              AND closed_at < fromUnixTimestamp64Milli({closed_to: Int64}, 'UTC')))
AND ({measure: UInt32} = 0 OR multiIf(
    {measure_part: String} = 'counted', measure_num[greatest({measure: UInt32}, 1)] > 0,
    {measure_part: String} = 'rest', measure_num[greatest({measure: UInt32}, 1)] < measure_den[greatest({measure: UInt32}, 1)],
    measure_num[greatest({measure: UInt32}, 1)] > 0 OR measure_den[greatest({measure: UInt32}, 1)] > 0))
AND ({number_digits: String} = ''
     OR position(replaceRegexpAll(from_number, '[^0-9]', ''), {number_digits: String}) > 0
     OR position(replaceRegexpAll(to_number, '[^0-9]', ''), {number_digits: String}) > 0)
AND ({number_text: String} = ''
     OR positionCaseInsensitiveUTF8(from_number, {number_text: String}) > 0
     OR positionCaseInsensitiveUTF8(to_number, {number_text: String}) > 0)
AND ({id: String} = '' OR startsWith(call_id, {id: String}))
AND ({any_duration: Bool} OR (duration_ms >= {duration_min_ms: Int64} AND duration_ms <= {duration_max_ms: Int64}))
AND ({word_0: String} = '' OR (business, opened_at, kind, call_id) IN (
    SELECT business, opened_at, kind, call_id
    FROM transcripts FINAL
    WHERE tenant = {tenant: UUID}
      AND opened_at >= fromUnixTimestamp64Milli({from: Int64}, 'UTC')
      AND opened_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC')
      AND (empty({businesses: Array(UUID)}) OR has({businesses: Array(UUID)}, business))
      AND {word_0: String} != ''
      AND lowerUTF8(said) LIKE {word_0: String}
      AND ({word_1: String} = '' OR lowerUTF8(said) LIKE {word_1: String})
      AND ({word_2: String} = '' OR lowerUTF8(said) LIKE {word_2: String})
      AND ({word_3: String} = '' OR lowerUTF8(said) LIKE {word_3: String})
      AND ({word_4: String} = '' OR lowerUTF8(said) LIKE {word_4: String})
))
