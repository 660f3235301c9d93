//! What Retell does not document is named, and what it documents is not.

use serde_json::{Value, json};
use trunkline_core::event::read_naming;

use crate::given::{payloads, record, record_of};

fn names(body: &Value) -> Vec<String> {
    named(&record(body, 0))
}

fn named(record: &trunkline_core::record::Record) -> Vec<String> {
    let (_, names) = read_naming(record);
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a8_a10_c_what_is_not_documented_is_named_with_the_way_to_it() {
    let body = json!({
        "event": "call_ended", "delivery": 3,
        "call": {
            "call_id": "c", "call_status": "paused", "call_type": "fax_call", "direction": "sideways", "duration_ms": "long",
            "disconnection_reason": "fell_asleep", "mood_ring": { "colour": "blue" },
            "call_analysis": { "user_sentiment": "Ecstatic", "call_successful": true, "tone": 1, "custom_analysis_data": { "own": 1 } },
            "call_cost": { "combined_cost": 1, "discount": 2, "product_costs": [{ "product": "a", "cost": 1, "tax": 0 }] },
            "latency": { "e2e": { "p50": 1 }, "vad": { "p50": 1 } },
            "metadata": { "anything": { "goes": 1 } }, "retell_llm_dynamic_variables": { "x": "y" },
            "transcript_with_tool_calls": [
                { "role": "agent", "content": "a", "words": [{ "word": "a", "start": 0, "end": 1, "odd": 1 }], "pitch": 1 },
                { "role": "whisper", "content": "b" },
            ],
        },
    });
    assert_eq!(
        names(&body),
        [
            "unreadable:duration_ms",
            "field:delivery",
            "field:call.mood_ring",
            "field:call.call_analysis.tone",
            "field:call.latency.vad",
            "field:call.call_cost.discount",
            "field:call.call_cost.product_costs[].tax",
            "field:call.transcript_with_tool_calls[].pitch",
            "value:role=whisper",
            "value:call_type=fax_call",
            "value:call_status=paused",
            "value:direction=sideways",
            "value:disconnection_reason=fell_asleep",
            "value:user_sentiment=Ecstatic",
        ]
    );
}

#[test]
fn a10_an_unknown_event_is_named_and_so_are_its_fields() {
    let body = json!({ "event": "call_hummed", "call": { "call_id": "c", "tune": "x" } });
    assert_eq!(names(&body), ["event:call_hummed", "field:call.tune"]);
    assert_eq!(
        names(&json!({ "event": "call_hummed" })),
        ["event:call_hummed"],
        "without an id too"
    );
}

#[test]
fn chats_and_alerts_have_their_own_documented_names() {
    let chat = json!({ "event": "chat_ended", "chat": { "chat_id": "c", "version": 1, "chat_status": "ended", "agent_version": 1,
        "message_with_tool_calls": [{ "role": "agent", "content": "x", "message_id": "m", "created_timestamp": 1 }] } });
    assert_eq!(names(&chat), ["field:chat.agent_version"]);
    let alert = json!({ "event": "alert_triggered", "alert": { "name": "x", "loudness": 11 } });
    assert_eq!(names(&alert), ["field:alert.loudness"]);
}

#[test]
fn nonsense_names_nothing_long_and_nothing_endless() {
    let many: serde_json::Map<String, Value> = (0..500).map(|n| (format!("{n}{}", "x".repeat(200)), Value::Null)).collect();
    let mut body = json!({ "event": "call_started", "call": Value::Object(many) });
    body["call"]["call_id"] = "c".into();
    let found = names(&body);
    assert!(
        found.len() <= 24 && found.iter().all(|name| name.chars().count() <= 80),
        "{found:?}"
    );
    assert_eq!(
        names(&json!({ "event": "call_started", "call": { "call_id": "c", "a\nb": 1 } })),
        ["field:call.a\u{FFFD}b"]
    );
    for broken in [&b"\xff"[..], b"{", b"[1]", b"null", b"{\"call\":7,\"chat\":[]}"] {
        assert_eq!(named(&record_of(broken.to_vec(), 0)), Vec::<String>::new());
    }
}

#[test]
fn the_samples_of_retell_name_only_what_is_there_to_be_found() {
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(payloads()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Custom functions and answers to hooks are no events; their files are there for other tests.
        if path.extension().is_none_or(|ending| ending != "json") || name.starts_with("custom_function") || name.contains(".response.") {
            continue;
        }
        let names = named(&record_of(std::fs::read(&path).unwrap(), 0));
        found.extend(names.iter().map(|odd| format!("{name} {odd}")));
    }
    found.sort();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn what_we_said_ourselves_is_nobodys_to_document() {
    let mut said = record(&json!({"event": "trunkline_presumed_ended", "call": {"call_id": "c"}}), 0);
    assert_eq!(named(&said), ["event:trunkline_presumed_ended"], "whoever signs can send the name");
    said.header.source = trunkline_core::record::Source::Reaper;
    assert!(named(&said).is_empty());
}
