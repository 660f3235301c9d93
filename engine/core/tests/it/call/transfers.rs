//! Transfers as a list (rule B7).

use serde_json::{Value, json};
use trunkline_core::facts::Transfer;

use super::{transfer, voice};
use crate::given::{NOW, call_of, event, sample};

/// Transfers of a call whose events came at these moments.
fn of(events: &[(Value, i64)]) -> Vec<Transfer> {
    let events: Vec<_> = events.iter().map(|(body, at)| event(body, *at)).collect();
    call_of(&events).facts().transfers
}

fn at(ms: Option<trunkline_core::instant::Millis>) -> Option<i64> {
    ms.map(|ms| ms.0 - NOW)
}

fn times(transfer: &Transfer) -> [Option<i64>; 4] {
    [
        at(transfer.started_at),
        at(transfer.bridged_at),
        at(transfer.cancelled_at),
        at(transfer.ended_at),
    ]
}

fn started(to: &str, attempt: u32) -> Value {
    transfer("transfer_started", to, json!({ "attempt": attempt }))
}

fn bridged(to: &str, attempt: u32) -> Value {
    transfer("transfer_bridged", to, json!({ "attempt": attempt }))
}

fn cancelled(to: &str, attempt: u32) -> Value {
    transfer("transfer_cancelled", to, json!({ "attempt": attempt }))
}

fn ended(attempt: u32) -> Value {
    voice("transfer_ended", json!({ "attempt": attempt }))
}

#[test]
fn b7_per_destination_the_kth_start_pairs_with_the_kth_outcome() {
    let list = of(&[
        (started("+1", 1), 1000),
        (started("+2", 1), 2000),
        (cancelled("+2", 1), 3000),
        (cancelled("+1", 1), 4000),
        (started("+1", 2), 5000),
        (bridged("+1", 2), 7500),
    ]);
    let seen: Vec<_> = list
        .iter()
        .map(|transfer| (&*transfer.destination, times(transfer), transfer.waited_ms))
        .collect();
    assert_eq!(
        seen,
        [
            ("+2", [Some(2000), None, Some(3000), None], Some(1000)),
            ("+1", [Some(1000), None, Some(4000), None], Some(3000)),
            ("+1", [Some(5000), Some(7500), None, None], Some(2500)),
        ]
    );
}

#[test]
fn b7_number_and_extension_together_are_the_destination() {
    let with = |event: &str, extension: Value| {
        let mut body = transfer(event, "+1", json!({}));
        body["transfer_destination"]["extension"] = extension;
        body
    };
    let list = of(&[
        (with("transfer_started", json!("204")), 0),
        (with("transfer_bridged", json!("205")), 10),
        (with("transfer_cancelled", Value::Null), 20),
    ]);
    assert_eq!(list.len(), 3);
    assert_eq!(
        list.iter().map(|transfer| transfer.extension.as_deref()).collect::<Vec<_>>(),
        [Some("204"), Some("205"), None]
    );
}

#[test]
fn b7_an_outcome_without_a_start_makes_a_transfer_with_unknown_start() {
    let list = of(&[(bridged("+1", 1), 500)]);
    assert_eq!((times(&list[0]), list[0].waited_ms), ([None, Some(500), None, None], None));
}

#[test]
fn b7_waited_is_missing_if_negative() {
    let list = of(&[(bridged("+1", 1), 500), (started("+1", 1), 900)]);
    assert_eq!(list.len(), 1);
    assert_eq!((times(&list[0]), list[0].waited_ms), ([Some(900), Some(500), None, None], None));
}

#[test]
fn b7_transfer_ended_closes_the_latest_bridged_one_not_yet_closed() {
    let list = of(&[
        (started("+1", 1), 0),
        (bridged("+1", 1), 100),
        (ended(1), 200),
        (started("+2", 1), 300),
        (bridged("+2", 1), 400),
        (started("+3", 1), 450),
        (ended(2), 500),
    ]);
    let closed: Vec<_> = list
        .iter()
        .map(|transfer| (&*transfer.destination, at(transfer.ended_at)))
        .collect();
    assert_eq!(closed, [("+1", Some(200)), ("+2", Some(500)), ("+3", None)]);
    assert!(list.iter().all(|transfer| !transfer.bridged_inferred));
}

#[test]
fn b7_with_none_bridged_the_latest_open_one_is_bridged_inferred() {
    let list = of(&[
        (started("+1", 1), 0),
        (cancelled("+1", 1), 10),
        (started("sip:x@example.invalid", 1), 20),
        (ended(1), 900),
    ]);
    let cold = &list[1];
    assert_eq!(&*cold.destination, "sip:x@example.invalid");
    assert_eq!(
        (times(cold), cold.waited_ms, cold.bridged_inferred),
        ([Some(20), None, None, Some(900)], None, true)
    );
    assert_eq!(list[0].ended_at, None);
}

#[test]
fn b7_an_outcome_that_comes_after_the_end_event_still_counts() {
    let list = of(&[(started("+1", 1), 0), (ended(1), 10), (bridged("+1", 1), 20)]);
    assert_eq!(
        (times(&list[0]), list[0].bridged_inferred),
        ([Some(0), Some(20), None, Some(10)], false)
    );
}

#[test]
fn b7_repeats_do_not_count_and_equal_attempts_are_one() {
    let list = of(&[
        (started("+1", 1), 0),
        (started("+1", 1), 50),
        (bridged("+1", 1), 100),
        (bridged("+1", 1), 150),
    ]);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].waited_ms, Some(100));
}

#[test]
fn b7_the_samples_of_a_transferred_call_make_its_story() {
    let list = of(&[
        (sample("transfer_started.warm"), 0),
        (sample("transfer_cancelled.warm"), 1000),
        (sample("transfer_bridged.warm"), 5000),
        (sample("transfer_ended"), 9000),
    ]);
    assert_eq!(list.len(), 2);
    assert_eq!(times(&list[0]), [Some(0), None, Some(1000), None]);
    assert_eq!(times(&list[1]), [None, Some(5000), None, Some(9000)]);
}
