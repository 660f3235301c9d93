//! Which transcript counts and what is taken from it (rule B6).

use serde_json::{Value, json};
use trunkline_core::facts::Role;
use trunkline_core::id::Kind;

use super::voice;
use crate::given::{NOW, apply, blank, call_of, event, facts_of, sample};

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

fn lines(event: &str, text: &str) -> Value {
    voice(event, json!({ "transcript": text }))
}

fn last(bodies: &[Value]) -> String {
    facts_of(bodies).last_said.map(|(_, text)| text.to_string()).unwrap_or_default()
}

#[test]
fn b6_before_the_end_most_turns_win_then_most_characters_then_the_latest() {
    let one = lines("transcript_updated", "User: a\nAgent: b");
    assert_eq!(
        last(&[one.clone(), lines("transcript_updated", "User: much longer than the other")]),
        "b"
    );
    assert_eq!(last(&[one.clone(), lines("transcript_updated", "User: a\nAgent: bb")]), "bb");
    assert_eq!(last(&[lines("transcript_updated", "User: a\nAgent: bb"), one.clone()]), "bb");
    assert_eq!(last(&[one.clone(), lines("transfer_started", "User: a\nAgent: c")]), "c");
    assert_eq!(
        last(&[
            lines("transcript_updated", "User: a\nAgent: é🙂"),
            lines("transcript_updated", "User: a\nAgent: xyz")
        ]),
        "xyz",
        "code points count, not bytes"
    );
}

#[test]
fn b6_an_ending_event_brings_the_canonical_text_even_if_shorter() {
    let long = lines("transcript_updated", "User: a\nAgent: b\nUser: c");
    for event in ["call_ended", "call_analyzed", "transfer_ended"] {
        assert_eq!(last(&[lines(event, "User: short"), long.clone()]), "short", "{event}");
        assert_eq!(last(&[lines(event, ""), long.clone()]), "c", "{event} without a turn");
        assert_eq!(last(&[lines(event, "nobody speaks"), long.clone()]), "c");
    }
    assert_eq!(
        last(&[
            lines("call_analyzed", "User: analysed"),
            lines("call_ended", "User: ended, and longer")
        ]),
        "analysed"
    );
    assert_eq!(
        last(&[lines("transfer_ended", "User: leg"), lines("call_analyzed", "User: analysed")]),
        "leg"
    );
    assert_eq!(last(&[lines("call_ended", "User: one"), lines("call_ended", "User: 2")]), "2");
}

#[test]
fn b6_a_turn_is_spoken_and_not_blank() {
    let list = json!([
        said("agent", "Hi"), said("user", " \t\n"), said("user", ""), {"role": "user"}, {"role": "user", "content": 7}, 5, {"content": "x"},
        said("transfer_target", "Sam"), said("narrator", "no"), {"role": "dtmf", "digit": "4"}, said("sms", "text"), said("injected", "note"),
        {"role": "tool_call_invocation", "name": "t", "arguments": "{}"}, {"role": "tool_call_result", "content": "r", "successful": false},
        {"role": "node_transition", "new_node_name": "N"}, said("user", "Yes")
    ]);
    let facts = facts_of(&[voice("call_ended", json!({ "transcript_with_tool_calls": list }))]);
    assert_eq!(
        (
            facts.speech.turns,
            facts.speech.agent_turns,
            facts.speech.user_turns,
            facts.speech.characters
        ),
        (3, 1, 1, 8)
    );
    assert_eq!((facts.tool_calls, facts.tool_failures), (1, 1));
    assert_eq!(facts.last_said.unwrap(), (Role::User, "Yes".into()));
}

#[test]
fn b6_the_first_source_that_has_a_turn_is_read() {
    let of = |tools: Value, object: Value, text: &str| {
        last(&[voice(
            "call_ended",
            json!({"transcript_with_tool_calls": tools, "transcript_object": object, "transcript": text}),
        )])
    };
    let one = |text: &str| json!([said("user", text)]);
    assert_eq!(of(one("tools"), one("object"), "User: text"), "tools");
    assert_eq!(of(json!([{"role": "dtmf", "digit": "1"}]), one("object"), "User: text"), "object");
    assert_eq!(of(json!([]), json!([said("user", " ")]), "User: text"), "text");
    assert_eq!(of(Value::Null, Value::Null, "User: text"), "text");
    let call = call_of(&[event(
        &voice(
            "transcript_updated",
            json!({"transcript_with_tool_calls": [{"role": "dtmf", "digit": "1"}]}),
        ),
        0,
    )]);
    assert_eq!(
        call.transcript().len(),
        1,
        "entries without a turn are shown when there is nothing better"
    );
}

#[test]
fn b6_lines_begin_with_a_speaker_or_continue() {
    let call = call_of(&[event(
        &lines(
            "call_ended",
            "stray\nAgent: Hello\nthere\nUser:hi\nTransfer Target: Sam\nAgents: no\n",
        ),
        0,
    )]);
    let turns: Vec<_> = call.transcript().iter().map(|item| (item.role, item.content.to_string())).collect();
    assert_eq!(
        turns,
        [
            (Role::Agent, "Hello\nthere".to_owned()),
            (Role::User, "hi".to_owned()),
            (Role::TransferTarget, "Sam\nAgents: no".to_owned()),
        ]
    );
}

#[test]
fn every_role_is_kept_with_what_belongs_to_it() {
    let call = call_of(&[event(&sample("edge.every_transcript_role.call_ended"), 0)]);
    let items = call.transcript();
    assert_eq!(items.len(), 12);
    assert_eq!(
        (items[0].role, items[0].start_ms, items[0].end_ms),
        (Role::Agent, Some(1347), Some(4041))
    );
    assert_eq!(
        (items[1].role, &*items[1].content, items[1].start_ms),
        (Role::Dtmf, "4", Some(4641))
    );
    assert_eq!(
        (items[11].role, items[11].tool_call_id.as_deref()),
        (Role::ToolResult, Some("extract_dynamic_variables_2d7116"))
    );
    assert!(items.iter().all(|item| item.words.is_empty()), "words are not kept in memory");
    let unknown = json!([{"role": "hologram", "content": "x", "time_sec": 1.5}]);
    let call = call_of(&[event(&voice("call_ended", json!({ "transcript_object": unknown })), 0)]);
    let item = &call.transcript()[0];
    assert_eq!(
        (item.role, item.role_raw.as_deref(), &*item.content, item.start_ms),
        (Role::Other, Some("hologram"), "x", Some(1500))
    );
}

#[test]
fn the_items_of_an_event_carry_word_times_for_who_stores_them() {
    let event = event(&sample("edge.every_transcript_role.call_ended"), 0);
    let items = event.items();
    assert_eq!(items.len(), 12);
    assert_eq!(items[0].words.len(), 9);
    let word = &items[0].words[0];
    assert_eq!((&*word.text, word.start_ms, word.end_ms), ("Press ", 1347, 1673));
}

#[test]
fn speech_figures_come_from_word_times() {
    let word = |start: f64, end: f64| json!({"word": "x", "start": start, "end": end});
    let turn = |role: &str, words: Value| json!({"role": role, "content": "x", "words": words});
    let list = json!([
        turn("agent", json!([word(1.0, 2.0), word(2.0, 4.0)])),
        turn("user", json!([word(3.5, 5.0)])),
        turn("agent", json!([word(6.0, 7.0), word(6.5, 7.5)])),
        turn("user", json!([word(8.0, 8.25)])),
        turn("transfer_target", json!([word(9.0, 10.0)])),
    ]);
    let speech = facts_of(&[voice("call_ended", json!({ "transcript_object": list }))]).speech;
    assert_eq!((speech.first_agent_word_ms, speech.first_user_word_ms), (Some(1000), Some(3500)));
    assert_eq!(
        (speech.agent_talk_ms, speech.user_talk_ms, speech.overtalk_ms),
        (Some(4500), Some(1750), Some(500))
    );
    assert_eq!((speech.interruptions, speech.turns), (1, 5));
    let silent = facts_of(&[lines("call_ended", "User: a")]).speech;
    assert_eq!((silent.agent_talk_ms, silent.user_talk_ms, silent.overtalk_ms), (None, None, None));
}

#[test]
fn the_script_tells_the_language_where_it_does() {
    for (file, language) in [("arabic", Some("ar")), ("japanese", Some("ja")), ("spanish", None)] {
        let facts = facts_of(&[sample(&format!("edge.language.{file}.call_analyzed"))]);
        assert_eq!(facts.language.as_deref(), language, "{file}");
    }
}

#[test]
fn a_change_of_the_transcript_is_told() {
    let mut call = blank(Kind::Call, "c");
    assert!(!apply(&mut call, &event(&voice("call_started", json!({})), 0)).transcript);
    assert!(apply(&mut call, &event(&lines("transcript_updated", "User: a"), 1000)).transcript);
    assert!(!apply(&mut call, &event(&lines("transcript_updated", "User: "), 2000)).transcript);
    assert!(apply(&mut call, &event(&lines("transcript_updated", "User: a\nAgent: b"), 3000)).transcript);
    assert!(!apply(&mut call, &event(&lines("transfer_started", "User: a\nAgent: b"), 4000)).transcript);
    assert_eq!(call.facts().last_said_at.unwrap().0, NOW + 3000);
}

#[test]
fn compacting_drops_the_text_and_no_fact() {
    let mut call = call_of(&[event(&sample("edge.very_long_transcript.call_ended"), 0)]);
    let (facts, before) = (call.facts(), call.memory_bytes());
    assert!(call.transcript().len() > 600);
    call.compact();
    assert_eq!(call.facts(), facts);
    assert!(call.transcript().is_empty());
    assert!(call.memory_bytes() * 3 < before, "{} of {before}", call.memory_bytes());
    let mut analysed = voice("call_analyzed", json!({"call_analysis": {"call_summary": "s"}}));
    analysed["call"]["call_id"] = json!(&*call.key().id);
    apply(&mut call, &event(&analysed, 1000));
    assert_eq!(call.facts().speech, facts.speech);
}

#[test]
fn chat_messages_are_turns_with_their_moments() {
    let call = call_of(&[event(&sample("chat_ended"), 0)]);
    let items = call.transcript();
    assert_eq!((items[0].role, items[0].start_ms), (Role::User, Some(10)));
    assert_eq!(
        (items[1].tool.as_deref(), items[1].tool_type.as_deref()),
        (Some("order_status"), Some("custom"))
    );
    assert_eq!(items[2].successful, Some(true));
}
