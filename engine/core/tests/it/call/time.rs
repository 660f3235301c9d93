//! Timestamps and durations (rule B9).

use serde_json::{Value, json};
use trunkline_core::facts::CallFacts;

use super::voice;
use crate::given::{NOW, facts_of, sample};

const START: i64 = 1_793_541_600_000;

fn of(call: Value) -> CallFacts {
    facts_of(&[voice("call_ended", call)])
}

fn start(value: Value) -> (Option<i64>, bool) {
    let facts = of(json!({ "start_timestamp": value }));
    (facts.started_at.map(|at| at.0), facts.repaired)
}

#[test]
fn b9_a_timestamp_is_usable_from_2015_to_a_day_after_its_receipt() {
    assert_eq!(start(json!(1_420_070_400_000i64)), (Some(1_420_070_400_000), false));
    assert_eq!(start(json!(1_420_070_399_999i64)), (None, false));
    assert_eq!(start(json!(NOW + 86_400_000)), (Some(NOW + 86_400_000), false));
    assert_eq!(start(json!(NOW + 86_400_001)), (None, false));
    let facts = of(json!({"start_timestamp": NOW + 86_400_001, "end_timestamp": 12}));
    let names: Vec<_> = facts.unreadable.iter().map(|(name, count)| (&**name, *count)).collect();
    assert_eq!(names, [("end_timestamp", 1), ("start_timestamp", 1)]);
}

#[test]
fn b9_seconds_are_multiplied_first_then_rounded_and_flagged() {
    assert_eq!(start(json!(START / 1000)), (Some(START), true));
    assert_eq!(start(json!(1_793_541_600.123_4)), (Some(START + 123), true));
    assert_eq!(start(json!(1_793_541_600.123_5)), (Some(START + 124), true));
    assert_eq!(start(json!(1_420_070_399.999)), (None, false));
    assert_eq!(start(json!(START as f64 + 0.5)), (Some(START + 1), false));
}

#[test]
fn b9_duration_is_the_given_one_else_end_minus_start_else_missing() {
    let duration = |call: Value| of(call).duration_ms;
    assert_eq!(
        duration(json!({"duration_ms": 0, "start_timestamp": START, "end_timestamp": START + 9})),
        Some(0)
    );
    assert_eq!(duration(json!({"duration_ms": 86_400_000})), Some(86_400_000));
    assert_eq!(
        duration(json!({"duration_ms": 86_400_001, "start_timestamp": START, "end_timestamp": START + 9})),
        Some(9)
    );
    assert_eq!(duration(json!({"duration_ms": -1})), None);
    assert_eq!(duration(json!({"start_timestamp": START, "end_timestamp": START})), Some(0));
    assert_eq!(duration(json!({"start_timestamp": START, "end_timestamp": START - 1})), None);
    assert_eq!(
        duration(json!({"start_timestamp": START, "end_timestamp": START + 86_400_001})),
        None
    );
    assert_eq!(duration(json!({"start_timestamp": START})), None);
}

#[test]
fn b9_an_end_before_the_start_gives_no_negative_duration() {
    let facts = facts_of(&[sample("edge.end_before_start.call_ended")]);
    assert!(facts.duration_ms.is_none_or(|ms| ms >= 0));
}

#[test]
fn b9_usability_is_judged_by_the_earliest_receipt() {
    let body = voice("call_started", json!({"end_timestamp": NOW + 86_400_000 + 5000}));
    let late = crate::given::call_of(&[crate::given::event(&body, 6000)]);
    assert!(late.facts().ended_at.is_some());
    let early = crate::given::call_of(&[crate::given::event(&body, 6000), crate::given::event(&body, 0)]);
    assert_eq!(
        (early.facts().ended_at, early.facts().state),
        (None, trunkline_core::facts::CallState::Ongoing)
    );
}
