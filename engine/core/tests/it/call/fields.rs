//! How single fields are read and merged (rules A6, A8, A9, B3, B5, B8, B10, B11, C).

use serde_json::{Value, json};
use trunkline_core::class;
use trunkline_core::facts::{CallFacts, Channel, Direction, ReasonClass, Sentiment, Stage};

use super::{chat, voice};
use crate::given::{event_of, facts_of, sample};

fn of(call: Value) -> CallFacts {
    facts_of(&[voice("call_ended", call)])
}

fn unreadable(facts: &CallFacts) -> Vec<(&str, u32)> {
    facts.unreadable.iter().map(|(name, count)| (&**name, *count)).collect()
}

#[test]
fn a6_integers_may_be_written_as_floats_and_halves_go_up() {
    let facts = facts_of(&[sample("edge.float_numbers.call_ended")]);
    assert_eq!(facts.agent_version, Some(12));
    assert_eq!(facts.started_at.unwrap().0, 1_793_541_600_000);
    assert_eq!(facts.duration_ms, Some(35_922));
}

#[test]
fn s148_a6_a_number_outside_its_type_makes_the_field_unreadable_not_the_body() {
    let body = r#"{"event":"call_ended","call":{"call_id":"c","agent_version":1e400,"duration_ms":9e30,"agent_name":"Ava"}}"#;
    let call = crate::given::call_of(&[event_of(body, 0)]);
    let facts = call.facts();
    assert_eq!(
        (facts.agent_version, facts.duration_ms, facts.agent_name.as_deref()),
        (None, None, Some("Ava"))
    );
    assert_eq!(unreadable(&facts), [("agent_version", 1), ("duration_ms", 1)]);
}

#[test]
fn a6_text_columns_get_no_nul_and_replacement_for_lone_surrogates() {
    let body = r#"{"event":"call_ended","call":{"call_id":"c","agent_name":"A\u0000va","agent_tag":"\u0000","from_number":"x\ud800"}}"#;
    let facts = crate::given::call_of(&[event_of(body, 0)]).facts();
    assert_eq!(facts.agent_name.as_deref(), Some("Ava"));
    assert_eq!(facts.agent_tag, None);
    assert_eq!(facts.from_number.as_deref(), Some("x\u{fffd}"));
    assert_eq!(unreadable(&facts), []);
}

#[test]
fn a8_a_bad_field_is_not_a_bad_event() {
    let facts = of(json!({
        "agent_id": 7, "agent_version": -1, "agent_name": ["x"], "call_type": true, "start_timestamp": "yesterday",
        "duration_ms": -5, "call_cost": "free", "latency": 3, "metadata": "text", "call_analysis": [1],
        "transcript_with_tool_calls": "none", "transcript_object": 1, "transcript": 4, "disconnection_reason": "user_hangup",
    }));
    assert_eq!(facts.reason_class, Some(ReasonClass::Normal));
    assert_eq!(facts.agent_id, None);
    let names: Vec<&str> = unreadable(&facts).iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "agent_id",
            "agent_name",
            "agent_version",
            "call_analysis",
            "call_cost",
            "call_type",
            "duration_ms",
            "latency",
            "metadata",
            "start_timestamp",
            "transcript",
            "transcript_object",
            "transcript_with_tool_calls",
        ]
    );
}

#[test]
fn a8_null_missing_and_empty_are_alike_and_are_not_counted() {
    let facts = facts_of(&[sample("edge.nulls_and_empty_containers.call_analyzed")]);
    assert_eq!(unreadable(&facts), []);
    assert_eq!((facts.agent_name, facts.cost.is_some(), facts.analysed), (None, false, false));
    assert!(facts.variables.is_empty() && facts.metadata.is_empty() && facts.latency.is_empty());
}

#[test]
fn a8_missing_never_erases_what_is_known() {
    let facts = facts_of(&[
        voice("call_started", json!({"agent_name": "Ava", "metadata": {"a": 1}})),
        voice("call_ended", json!({"agent_name": null, "metadata": {}})),
        voice("call_analyzed", json!({"agent_name": ""})),
    ]);
    assert_eq!(facts.agent_name.as_deref(), Some("Ava"));
    assert_eq!(facts.metadata.len(), 1);
}

#[test]
fn s148_a8_costs_are_usable_from_0_to_10_to_the_12_cents() {
    let cost = |cents: Value| {
        of(json!({"call_cost": {"combined_cost": cents}}))
            .cost
            .and_then(|cost| cost.combined_cents)
    };
    assert_eq!(cost(json!(0)), Some(0.0));
    assert_eq!(cost(json!(1e12)), Some(1e12));
    assert_eq!(cost(json!(1.1e12)), None);
    assert_eq!(cost(json!(-0.01)), None);
}

#[test]
fn a8_empty_values_inside_metadata_are_missing() {
    let facts = of(json!({"metadata": {"a": [], "b": {}, "c": null, "d": "", "e": 0, "f": false, "g": {"x": []}}}));
    let names: Vec<&str> = facts.metadata.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["e", "f", "g"]);
}

#[test]
fn a9_the_tool_transcript_inside_the_call_wins_and_analysis_beside_it_is_not_read() {
    let item = |text: &str| json!([{"role": "user", "content": text}]);
    let mut body = voice("transcript_updated", json!({"transcript_with_tool_calls": item("inside")}));
    body["transcript_with_tool_calls"] = item("beside");
    body["call_analysis"] = json!({"call_summary": "no"});
    let facts = facts_of(&[body.clone()]);
    assert_eq!(&*facts.last_said.unwrap().1, "inside");
    assert!(!facts.analysed);
    body["call"]["transcript_with_tool_calls"] = json!([]);
    assert_eq!(&*facts_of(&[body]).last_said.unwrap().1, "beside");
}

#[test]
fn a9_transfer_destination_inside_and_beside_are_two_fields() {
    let mut body = voice("transfer_started", json!({"transfer_destination": "sip:inside@example.invalid"}));
    body["transfer_destination"] = json!({"number": "+14155550171", "extension": "204"});
    let facts = facts_of(&[body]);
    assert_eq!(facts.transfer_destination.as_deref(), Some("sip:inside@example.invalid"));
    assert_eq!(&*facts.transfers[0].destination, "+14155550171");
    assert_eq!(facts.transfers[0].extension.as_deref(), Some("204"));
}

#[test]
fn b3_the_higher_rank_wins_and_within_a_rank_the_later_stamp() {
    let named = |event: &str, name: &str| voice(event, json!({"from_number": name}));
    let name = |bodies: &[Value]| facts_of(bodies).from_number.unwrap().to_string();
    let ranks = [
        "call_started",
        "transcript_updated",
        "transfer_started",
        "transfer_bridged",
        "transfer_cancelled",
        "call_ended",
        "call_analyzed",
        "transfer_ended",
    ];
    let rank = [1, 2, 3, 3, 3, 4, 5, 6];
    for (one, event) in ranks.iter().enumerate() {
        for (other, later) in ranks.iter().enumerate() {
            let winner = if rank[one] > rank[other] { "first" } else { "second" };
            assert_eq!(
                name(&[named(event, "first"), named(later, "second")]),
                winner,
                "{event} then {later}"
            );
        }
    }
}

#[test]
fn b3_analysis_is_a_group_of_registers_and_maps_merge_by_key() {
    let facts = facts_of(&[
        voice(
            "call_ended",
            json!({"call_analysis": {"call_summary": "old", "in_voicemail": true, "custom_analysis_data": {"a": 1, "b": 2}},
            "metadata": {"x": "1", "y": "2"}, "retell_llm_dynamic_variables": {"v": "1"}, "collected_dynamic_variables": {"k": "1"}}),
        ),
        voice(
            "call_analyzed",
            json!({"call_analysis": {"call_summary": "new", "custom_analysis_data": {"b": 3}},
            "metadata": {"y": "3"}, "retell_llm_dynamic_variables": {"w": "2"}, "collected_dynamic_variables": {"k": "2"}}),
        ),
    ]);
    assert_eq!(facts.analysis.summary.as_deref(), Some("new"));
    assert_eq!(facts.analysis.in_voicemail, Some(true));
    let pairs = |map: &[(std::sync::Arc<str>, std::sync::Arc<str>)]| {
        map.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(pairs(&facts.analysis.custom), "a=1 b=3");
    assert_eq!(pairs(&facts.metadata), r#"x="1" y="3""#);
    assert_eq!(pairs(&facts.variables), r#"v="1" w="2""#);
    assert_eq!(pairs(&facts.collected), r#"k="2""#);
}

#[test]
fn b3_object_fields_merge_as_whole_values() {
    let facts = facts_of(&[
        voice(
            "call_ended",
            json!({"latency": {"e2e": {"values": [1, 2]}, "llm": {"values": [3]}}}),
        ),
        voice("call_analyzed", json!({"latency": {"e2e": {"values": [9.5], "p50": 9}}})),
    ]);
    assert_eq!(facts.latency.len(), 1);
    assert_eq!((facts.latency[0].0, &*facts.latency[0].1), (Stage::E2e, &[9.5][..]));
}

#[test]
fn b3_cost_is_there_if_the_combined_cost_or_any_part_is_readable() {
    let cost = |value: Value| of(json!({ "call_cost": value })).cost;
    assert!(cost(json!({"total_duration_seconds": 60})).is_none());
    assert!(cost(json!({"combined_cost": "x", "product_costs": [{"product": "p", "cost": null}]})).is_none());
    assert_eq!(
        cost(json!({"combined_cost": -1, "product_costs": [{"product": "p", "cost": 2}]}))
            .unwrap()
            .parts_cents,
        Some(2.0)
    );
}

#[test]
fn b5_analysed_is_content_and_the_event_alone_counts_for_the_delay_only() {
    let empty = facts_of(&[voice(
        "call_analyzed",
        json!({"call_analysis": {"user_sentiment": " ", "custom_analysis_data": {"a": null}}}),
    )]);
    assert!(!empty.analysed);
    assert!(empty.analysis_event_at.is_some());
    for content in [
        json!({"call_summary": "s"}),
        json!({"call_successful": false}),
        json!({"user_sentiment": "odd"}),
        json!({"in_voicemail": false}),
        json!({"custom_analysis_data": {"a": 1}}),
    ] {
        let facts = of(json!({ "call_analysis": content }));
        assert!(facts.analysed && facts.analysis_event_at.is_none(), "{content}");
    }
    assert!(!of(json!({"call_analysis": {"new_field": 1}})).analysed);
}

#[test]
fn b8_transfer_ended_has_the_last_word_and_transfer_legs_are_kept_apart() {
    let facts = facts_of(&[
        voice(
            "call_ended",
            json!({"call_cost": {"combined_cost": 5, "product_costs": [{"product": "a", "cost": 5}]}}),
        ),
        voice(
            "transfer_ended",
            json!({"call_cost": {"combined_cost": 9, "product_costs":
            [{"product": "a", "cost": 5}, {"product": "leg", "cost": 3.5, "is_transfer_leg_cost": true}]}}),
        ),
        voice(
            "call_analyzed",
            json!({"call_cost": {"combined_cost": 5, "product_costs": [{"product": "a", "cost": 5}]}}),
        ),
    ]);
    let cost = facts.cost.unwrap();
    assert_eq!(
        (cost.combined_cents, cost.parts_cents, cost.transfer_leg_cents),
        (Some(9.0), Some(8.5), Some(3.5))
    );
    assert!(cost.parts_differ());
}

#[test]
fn b8_the_sum_of_parts_is_shown_when_it_differs_by_more_than_a_hundredth_of_a_cent_or_combined_is_missing() {
    let differ = |combined: Value| {
        of(json!({"call_cost": {"combined_cost": combined, "product_costs": [{"product": "a", "cost": 1}, {"product": "b", "cost": 2}]}}))
            .cost
            .unwrap()
            .parts_differ()
    };
    assert!(!differ(json!(3)));
    assert!(!differ(json!(3.009)));
    assert!(differ(json!(3.011)));
    assert!(differ(Value::Null));
}

#[test]
fn b10_sentiment_matches_without_case_and_outer_space_and_other_words_are_other() {
    for (word, mood) in [
        ("Positive", Sentiment::Positive),
        (" NEUTRAL\t", Sentiment::Neutral),
        ("negative", Sentiment::Negative),
        ("Unknown", Sentiment::Unknown),
        ("Mixed", Sentiment::Other),
        ("positive!", Sentiment::Other),
    ] {
        let facts = of(json!({"call_analysis": {"user_sentiment": word}}));
        assert_eq!(facts.analysis.sentiment, Some(mood), "{word}");
        assert_eq!(facts.analysis.sentiment_raw.as_deref(), Some(word));
    }
    assert_eq!(of(json!({"call_analysis": {"user_sentiment": "  "}})).analysis.sentiment, None);
}

#[test]
fn b11_numbers_that_are_not_e164_are_kept_but_name_no_party() {
    for (text, party) in [
        ("+14155550137", true),
        ("+4915112345678", true),
        ("anonymous", false),
        ("204", false),
        ("sip:a@example.invalid", false),
        ("+0123", false),
        ("+1", false),
        ("+1234567890123456", false),
        ("14155550137", false),
        ("+1415 555", false),
    ] {
        assert_eq!(class::is_party_number(text), party, "{text}");
        assert_eq!(of(json!({ "from_number": text })).from_number.as_deref(), Some(text));
    }
}

#[test]
fn c_every_documented_reason_has_its_class_and_a_new_one_is_new() {
    let table = [
        (
            ReasonClass::Normal,
            "user_hangup agent_hangup call_transfer transfer_bridged user_requested_callback user_requested_dnc",
        ),
        (ReasonClass::Intervened, "manual_stopped call_take_over"),
        (ReasonClass::Machine, "voicemail_reached ivr_reached machine_detected"),
        (ReasonClass::Limit, "inactivity max_duration_reached"),
        (ReasonClass::NotJoined, "registered_call_timeout error_user_not_joined"),
        (ReasonClass::Callee, "dial_busy dial_no_answer user_declined"),
        (
            ReasonClass::Route,
            "dial_failed invalid_destination telephony_provider_permission_denied telephony_provider_unavailable sip_routing_error marked_as_spam network_blocked",
        ),
        (
            ReasonClass::Blocked,
            "concurrency_limit_reached no_concurrency_fallback no_valid_payment scam_detected credit_exhausted budget_reached error_inbound_webhook",
        ),
        (
            ReasonClass::FaultOwnModel,
            "error_llm_websocket_open error_llm_websocket_lost_connection error_llm_websocket_runtime error_llm_websocket_corrupt_payload",
        ),
        (
            ReasonClass::FaultProvider,
            "error_no_audio_received error_asr error_retell error_unknown",
        ),
        (ReasonClass::TransferNotDone, "transfer_cancelled"),
        (ReasonClass::New, "quantum_link_lost User_hangup"),
    ];
    for (class, words) in table {
        for word in words.split(' ') {
            let facts = of(json!({ "disconnection_reason": word }));
            assert_eq!(facts.reason_class, Some(class), "{word}");
            assert_eq!(facts.reason.as_deref(), Some(word), "the raw value is always kept");
        }
    }
}

#[test]
fn unknown_words_of_open_lists_are_kept_and_refuse_nothing() {
    let facts = facts_of(&[sample("edge.unknown_enum_values.call_ended")]);
    assert_eq!((facts.channel, facts.direction), (Channel::Other, Direction::None));
    assert_eq!(facts.status_raw.as_deref(), Some("archived"));
    assert_eq!(facts.reason_class, Some(ReasonClass::New));
    assert_eq!(unreadable(&facts), []);
}

#[test]
fn a_full_call_and_a_full_chat_are_read_whole() {
    let facts = facts_of(&[sample("call_analyzed.phone_inbound")]);
    assert_eq!((facts.channel, facts.direction), (Channel::Phone, Direction::Inbound));
    assert_eq!((facts.speech.turns, facts.speech.agent_turns, facts.speech.user_turns), (8, 5, 3));
    assert_eq!(
        facts
            .latency
            .iter()
            .map(|(stage, values)| (*stage, values.len()))
            .collect::<Vec<_>>(),
        [(Stage::E2e, 5), (Stage::Asr, 4), (Stage::Llm, 6), (Stage::Tts, 5)]
    );
    assert_eq!(facts.cost.as_ref().unwrap().combined_cents, Some(5.280_001_2));
    assert_eq!(
        (facts.analysis.successful, facts.analysis.sentiment),
        (Some(true), Some(Sentiment::Positive))
    );
    assert_eq!(facts.analysis.custom.len(), 4);
    assert!(facts.recording_url.is_some() && facts.collected.len() == 3);
    let chat_facts = facts_of(&[sample("chat_analyzed")]);
    assert_eq!((chat_facts.channel, chat_facts.connected), (Channel::Chat, false));
    assert_eq!((chat_facts.speech.turns, chat_facts.tool_calls), (3, 1));
    assert!(chat_facts.analysed && chat_facts.cost.is_some());
    let own = facts_of(&[chat(
        "chat_analyzed",
        json!({"chat_analysis": {"chat_summary": "s", "chat_successful": false, "call_summary": "no"}}),
    )]);
    assert_eq!((own.analysis.summary.as_deref(), own.analysis.successful), (Some("s"), Some(false)));
}
