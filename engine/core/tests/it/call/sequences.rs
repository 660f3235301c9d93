//! The delivery sequences that payloads/README.md asks for.

use serde_json::{Value, json};
use trunkline_core::facts::{CallFacts, CallState};

use crate::given::{NOW, call_of, event, facts_of, sample};

/// A sample retold for another call.
fn as_call(name: &str, id: &str) -> Value {
    let mut body = sample(name);
    body["call"]["call_id"] = json!(id);
    body
}

fn story(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| as_call(name, "c")).collect()
}

const INBOUND: [&str; 6] = [
    "call_started.phone_inbound",
    "transcript_updated.turn",
    "transcript_updated.turn_inside_call",
    "call_ended.phone_inbound.agent_hangup",
    "transcript_updated.final",
    "call_analyzed.phone_inbound",
];

fn is_whole(facts: &CallFacts) {
    assert_eq!(
        (facts.state, facts.connected, facts.analysed, facts.end_inferred),
        (CallState::Ended, true, true, false)
    );
    assert_eq!((facts.speech.turns, facts.duration_ms), (8, Some(35_921)));
}

#[test]
fn sequence_1_inbound() {
    let facts = facts_of(&story(&INBOUND));
    is_whole(&facts);
    assert_eq!((facts.records, facts.repeats, facts.revisions), (6, 0, 0));
    assert_eq!(facts.first_received_at.0, NOW);
}

#[test]
fn sequence_2_never_connected() {
    let facts = facts_of(&[
        as_call("edge.dial_failed.call_ended", "c"),
        as_call("edge.dial_failed.call_analyzed", "c"),
    ]);
    assert_eq!(
        (facts.state, facts.connected, facts.started_at, facts.duration_ms),
        (CallState::Ended, false, None, None)
    );
}

#[test]
fn sequence_3_a_late_start_does_not_bring_the_call_back_to_life() {
    let facts = facts_of(&story(&["call_ended.phone_inbound.agent_hangup", "call_started.phone_inbound"]));
    assert_eq!(
        (facts.state, facts.end_inferred, facts.reason.as_deref()),
        (CallState::Ended, false, Some("agent_hangup"))
    );
}

#[test]
fn sequence_4_every_event_three_times_interleaved() {
    let bodies = story(&INBOUND);
    let events: Vec<_> = (0..18).map(|place| event(&bodies[place * 5 % 6], place as i64 * 1000)).collect();
    let facts = call_of(&events).facts();
    is_whole(&facts);
    assert_eq!((facts.records, facts.repeats, facts.events.len()), (18, 12, 6));
}

#[test]
fn sequence_6_transfer() {
    let names = [
        "transfer_started.warm",
        "transfer_cancelled.warm",
        "transfer_started.warm",
        "transfer_bridged.warm",
        "call_ended.phone_inbound.call_transfer",
        "call_analyzed.phone_inbound",
        "transfer_ended",
    ];
    let mut bodies = story(&names);
    // The second attempt is a second only if its body tells so.
    bodies[2]["call"]["duration_ms"] = json!(9000);
    let facts = facts_of(&bodies);
    assert_eq!(facts.transfers.len(), 2);
    assert!(facts.transfers[0].cancelled_at.is_some() && facts.transfers[1].bridged_at.is_some());
    assert!(facts.transfers[1].ended_at.is_some());
    assert_eq!((facts.state, facts.reason.as_deref()), (CallState::Ended, Some("call_transfer")));
    assert!(facts.transfer_ended_at.is_some());
}

#[test]
fn sequence_7_a_missing_tail_leaves_the_call_open() {
    let facts = facts_of(&story(&["call_started.phone_inbound"]));
    assert_eq!((facts.state, facts.closed_at()), (CallState::Ongoing, None));
}

#[test]
fn sequence_8_analysis_only() {
    let facts = facts_of(&story(&["call_analyzed.phone_inbound"]));
    assert_eq!(
        (facts.state, facts.end_inferred, facts.analysed, facts.connected),
        (CallState::Ended, true, true, true)
    );
}

#[test]
fn sequence_9_of_two_analyses_the_later_wins() {
    let mut bodies = story(&["call_analyzed.phone_inbound", "call_analyzed.phone_inbound"]);
    bodies[1]["call"]["call_analysis"]["call_summary"] = json!("rerun");
    let facts = facts_of(&bodies);
    assert_eq!((facts.analysis.summary.as_deref(), facts.revisions), (Some("rerun"), 1));
}

#[test]
fn sequence_11_the_same_end_on_two_addresses() {
    let body = as_call("call_ended.phone_inbound.agent_hangup", "c");
    let facts = call_of(&[event(&body, 0), event(&body, 30)]).facts();
    assert_eq!((facts.records, facts.repeats, facts.revisions), (2, 1, 0));
}
