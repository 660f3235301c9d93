//! Registered, ongoing, ended; connected (rules B4, C).

use serde_json::{Value, json};
use trunkline_core::facts::CallState;
use trunkline_core::instant::Millis;

use super::{chat, transfer, voice};
use crate::given::{NOW, apply, call_of, event, facts_of};

const START: i64 = 1_793_541_600_000;

#[test]
fn b4_what_proves_that_a_call_runs() {
    for body in [
        voice("call_started", json!({})),
        voice("transcript_updated", json!({})),
        transfer("transfer_started", "+1", json!({})),
        transfer("transfer_bridged", "+1", json!({})),
        transfer("transfer_cancelled", "+1", json!({})),
        chat("chat_started", json!({})),
        chat("transcript_updated", json!({})),
    ] {
        let facts = facts_of(std::slice::from_ref(&body));
        assert_eq!(facts.state, CallState::Ongoing, "{body}");
        assert!(!facts.end_inferred && !facts.presumed_ended);
    }
}

#[test]
fn b4_what_proves_that_a_call_is_over_and_when_that_is_inferred() {
    for (body, inferred) in [
        (voice("call_ended", json!({})), false),
        (voice("call_analyzed", json!({})), true),
        (voice("transfer_ended", json!({})), true),
        (voice("call_started", json!({"end_timestamp": START})), true),
        (voice("transcript_updated", json!({"end_timestamp": START})), true),
        (chat("chat_ended", json!({})), false),
        (chat("chat_analyzed", json!({})), true),
    ] {
        let facts = facts_of(std::slice::from_ref(&body));
        assert_eq!((facts.state, facts.end_inferred), (CallState::Ended, inferred), "{body}");
    }
    let later = facts_of(&[voice("call_analyzed", json!({})), voice("call_ended", json!({}))]);
    assert!(!later.end_inferred);
}

#[test]
fn b4_the_event_name_beats_the_status_in_its_body() {
    for status in ["ended", "error", "not_connected"] {
        assert_eq!(
            facts_of(&[voice("call_started", json!({ "call_status": status }))]).state,
            CallState::Ongoing
        );
    }
    for status in ["registered", "ongoing"] {
        let facts = facts_of(&[voice(
            "call_ended",
            json!({"call_status": status, "disconnection_reason": "dial_busy"}),
        )]);
        assert_eq!(
            (facts.state, facts.connected),
            (CallState::Ended, false),
            "in an ending event the status is no evidence"
        );
    }
}

#[test]
fn b4_a_late_start_does_not_reopen_an_ended_call() {
    let mut call = call_of(&[event(&voice("call_ended", json!({})), 0)]);
    let changes = apply(&mut call, &event(&voice("call_started", json!({})), 1000));
    assert!(!changes.state);
    assert_eq!(call.state(), CallState::Ended);
}

#[test]
fn b4_an_unusable_end_timestamp_ends_nothing() {
    for bad in [json!(0), json!("x"), json!(-1), json!(NOW + 2 * 86_400_000)] {
        assert_eq!(
            facts_of(&[voice("call_started", json!({ "end_timestamp": bad }))]).state,
            CallState::Ongoing,
            "{bad}"
        );
    }
}

#[test]
fn b4_the_reaper_presumes_the_end_and_a_later_event_corrects_it() {
    let mut call = call_of(&[event(&voice("call_started", json!({})), 0)]);
    assert!(call.presume_ended(Millis(NOW + 60_000)).state);
    let facts = call.facts();
    assert_eq!(
        (facts.state, facts.presumed_ended, facts.end_inferred),
        (CallState::Ended, true, false)
    );
    assert!(!call.presume_ended(Millis(NOW + 60_000)).any());
    // A record that was received before the presumption is no later event.
    assert!(!apply(&mut call, &event(&voice("transcript_updated", json!({})), 30_000)).state);
    assert!(
        apply(
            &mut call,
            &event(&voice("transcript_updated", json!({"transcript": "User: a"})), 90_000)
        )
        .state
    );
    assert_eq!((call.state(), call.facts().presumed_ended), (CallState::Ongoing, false));
    assert!(call.presume_ended(Millis(NOW + 200_000)).state);
    apply(&mut call, &event(&voice("call_ended", json!({})), 300_000));
    let facts = call.facts();
    assert_eq!(
        (facts.state, facts.presumed_ended, facts.end_inferred),
        (CallState::Ended, false, false)
    );
}

#[test]
fn c_connected_by_evidence_or_by_start_status_and_reason_or_by_a_turn_of_the_user() {
    let ended = |call: Value| facts_of(&[voice("call_ended", call)]).connected;
    assert!(
        ended(json!({"start_timestamp": START})),
        "missing status and reason do not stand in the way"
    );
    assert!(ended(
        json!({"start_timestamp": START, "call_status": "ended", "disconnection_reason": "voicemail_reached"})
    ));
    assert!(ended(
        json!({"start_timestamp": START, "call_status": "archived", "disconnection_reason": "quantum_link_lost"})
    ));
    assert!(!ended(json!({})));
    assert!(!ended(json!({"start_timestamp": 5})));
    for status in ["registered", "not_connected"] {
        assert!(!ended(json!({"start_timestamp": START, "call_status": status})));
    }
    for reason in ["error_user_not_joined", "dial_busy", "dial_failed"] {
        assert!(
            !ended(json!({"start_timestamp": START, "disconnection_reason": reason})),
            "{reason}"
        );
    }
    assert!(ended(json!({"transcript": "User: hello", "call_status": "not_connected"})));
    assert!(!ended(json!({"transcript": "Agent: hello", "call_status": "not_connected"})));
    assert!(
        facts_of(&[
            voice("call_started", json!({})),
            voice("call_ended", json!({"disconnection_reason": "dial_busy"}))
        ])
        .connected
    );
    assert!(
        !facts_of(&[chat("chat_started", json!({"start_timestamp": START}))]).connected,
        "said of calls, not of chats"
    );
}

#[test]
fn b4_a_record_of_the_reaper_presumes_the_end_and_is_no_event_of_the_call() {
    let mut record = crate::given::record(&voice("trunkline_presumed_ended", json!({})), 60_000);
    record.header.source = trunkline_core::record::Source::Reaper;
    let mut call = call_of(&[event(&voice("call_started", json!({})), 0)]);
    assert!(apply(&mut call, &crate::given::event_in(&record)).state);
    let facts = call.facts();
    assert_eq!(
        (facts.state, facts.presumed_ended, facts.records, facts.events.len()),
        (CallState::Ended, true, 1, 1)
    );
}
