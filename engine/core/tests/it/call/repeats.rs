//! Stamps, repeats and revisions (rules B1, B2).

use serde_json::json;
use trunkline_core::call::Ending;

use super::{transfer, voice};
use crate::given::{NOW, apply, blank, call_of, event, event_of};
use trunkline_core::id::Kind;

#[test]
fn b1_the_same_stamp_read_twice_is_one_record_and_no_repeat() {
    let body = voice("call_ended", json!({"agent_name": "Ava"}));
    let mut call = blank(Kind::Call, "c");
    assert_eq!(apply(&mut call, &event(&body, 0)).ending, Ending::Applied);
    let before = call.facts();
    let changes = apply(&mut call, &event(&body, 0));
    assert_eq!(changes.ending, Ending::Same);
    assert!(!changes.any());
    assert_eq!(call.facts(), before);
    assert_eq!((before.records, before.repeats), (1, 0));
}

#[test]
fn b1_content_is_the_sha_256_of_the_canonical_body() {
    use sha2::{Digest, Sha256};
    let event = event_of(r#"{ "event":"call_started", "call":{"call_id":"c","b":1.0,"a":[ ]} }"#, 0);
    let canonical = r#"{"call":{"a":[],"b":1,"call_id":"c"},"event":"call_started"}"#;
    assert_eq!(event.stamp().content, <[u8; 32]>::from(Sha256::digest(canonical)));
    assert_eq!(event.stamp().whole, event.stamp().content);
    assert_eq!(event.received_at().0, NOW);
}

#[test]
fn b1_another_spelling_of_the_same_body_is_a_repeat() {
    let one = event_of(r#"{"event":"call_ended","call":{"call_id":"c","duration_ms":61000}}"#, 0);
    let other = event_of(
        "{ \"call\": {\"duration_ms\": 6.1e4, \"call_id\": \"\\u0063\"},\n \"event\": \"call_ended\" }",
        10,
    );
    let mut call = call_of(&[one]);
    assert_eq!(apply(&mut call, &other).ending, Ending::Repeat);
}

#[test]
fn b1_a_transfer_event_for_two_agents_is_one_event_and_the_earlier_one_names_the_agent() {
    let of = |agent: &str| {
        transfer(
            "transfer_started",
            "+1",
            json!({"agent_id": agent, "agent_name": agent, "agent_version": 1, "agent_tag": agent}),
        )
    };
    let (source, target) = (event(&of("source"), 0), event(&of("target"), 40));
    assert_eq!(source.stamp().content, target.stamp().content);
    assert_ne!(source.stamp().whole, target.stamp().whole);
    let (mut one, mut other) = (blank(Kind::Call, "c"), blank(Kind::Call, "c"));
    assert_eq!(
        [apply(&mut one, &source).ending, apply(&mut one, &target).ending],
        [Ending::Applied, Ending::Repeat]
    );
    apply(&mut other, &target);
    apply(&mut other, &source);
    assert_eq!(one.facts(), other.facts());
    let facts = one.facts();
    assert_eq!(
        (facts.agent_id.as_deref(), facts.owner_agent.as_deref(), facts.transfers.len()),
        (Some("source"), Some("source"), 1)
    );
    let ended = |agent: &str| event(&voice("call_ended", json!({ "agent_id": agent })), 0);
    assert_ne!(
        ended("source").stamp().content,
        ended("target").stamp().content,
        "of other events the agent is content"
    );
}

#[test]
fn s127_b2_a_repeat_counts_at_its_earliest_stamp_and_changes_nothing_else() {
    let body = voice("call_ended", json!({"agent_name": "Ava"}));
    let call = call_of(&[event(&body, 9000), event(&body, 4000), event(&body, 12_000)]);
    let facts = call.facts();
    assert_eq!((facts.records, facts.repeats, facts.revisions), (3, 2, 0));
    assert_eq!((facts.events.len(), facts.events[0].repeats), (1, 2));
    assert_eq!(facts.ended_event_at.unwrap().0, NOW + 4000);
    assert_eq!(
        (facts.first_received_at, facts.last_received_at),
        (facts.ended_event_at.unwrap(), facts.ended_event_at.unwrap())
    );
}

#[test]
fn b2_an_earlier_receipt_that_turns_up_late_can_change_who_wins() {
    let a = voice("call_analyzed", json!({"call_analysis": {"call_summary": "a"}}));
    let b = voice("call_analyzed", json!({"call_analysis": {"call_summary": "b"}}));
    let call = call_of(&[event(&a, 5000), event(&b, 4000)]);
    assert_eq!(call.facts().analysis.summary.as_deref(), Some("a"));
    let call = call_of(&[event(&a, 5000), event(&b, 4000), event(&a, 3000)]);
    assert_eq!(call.facts().analysis.summary.as_deref(), Some("b"));
}

#[test]
fn b2_other_content_of_a_once_only_event_is_a_revision_and_is_applied() {
    let summary = |text: &str| voice("call_analyzed", json!({"call_analysis": {"call_summary": text}}));
    let facts = call_of(&[event(&summary("new"), 9000), event(&summary("old"), 1000)]).facts();
    assert_eq!(facts.analysis.summary.as_deref(), Some("new"));
    assert_eq!((facts.revisions, facts.repeats), (1, 0));
    assert_eq!(facts.events.iter().map(|note| note.revision).collect::<Vec<_>>(), [false, true]);
    assert_eq!(facts.analysis_event_at.unwrap().0, NOW + 1000);
}

#[test]
fn b2_events_that_come_many_times_are_no_revisions() {
    let update = |text: &str| event(&voice("transcript_updated", json!({ "transcript": text })), 0);
    let facts = call_of(&[update("User: a"), update("User: a\nUser: b")]).facts();
    assert_eq!((facts.records, facts.revisions, facts.repeats), (2, 0, 0));
}

#[test]
fn an_undocumented_event_repeats_like_any_other() {
    let body = voice("call_paused", json!({}));
    let facts = call_of(&[event(&voice("call_started", json!({})), 0), event(&body, 1), event(&body, 2)]).facts();
    assert_eq!((facts.records, facts.repeats, facts.events.len()), (3, 1, 2));
}
