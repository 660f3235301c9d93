//! A call whose batches are read from their ends, as the live group does, is the same call as one whose records are read one by one.

use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_core::call::{Call, Ending};
use trunkline_core::event::{Event, Reading, read_beside};
use trunkline_core::facts::{CallFacts, Item};
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::record::Record;

use super::order::records;
use super::{transfer, voice};
use crate::given::{event_in, record, record_of, tenant, workspace};

fn key() -> CallKey {
    CallKey {
        tenant: tenant(),
        kind: Kind::Call,
        id: "c".into(),
    }
}

fn beside(record: &Record, later: Option<&Event>) -> Event {
    match read_beside(&mut record.clone(), &|_, _, _| later) {
        Reading::Event(event) => *event,
        other => panic!("not an event: {other:?}"),
    }
}

fn one_by_one(records: &[Record]) -> Call {
    let mut call = Call::new(key(), workspace());
    for record in records {
        call.apply(&event_in(record));
    }
    call
}

/// Applies the batches as the live group does: each read from its end.
fn in_batches<'a>(batches: impl Iterator<Item = &'a [Record]>) -> (Call, Vec<Ending>) {
    let mut call = Call::new(key(), workspace());
    let mut endings = Vec::new();
    for batch in batches {
        let mut events: Vec<Event> = Vec::new();
        for record in batch.iter().rev() {
            let event = beside(record, events.last());
            events.push(event);
        }
        endings.extend(events.iter().rev().map(|event| call.apply(event).ending));
    }
    (call, endings)
}

fn seen(call: &Call) -> (CallFacts, Vec<Item>) {
    (call.facts(), call.transcript().to_vec())
}

/// The body in one of four spellings.
fn spelled(body: &Value, how: usize, at: i64) -> Record {
    match how {
        0 => record_of(serde_json::to_string_pretty(body).unwrap(), at),
        1 => record_of(body.to_string().replace("\"c\"", "\"\\u0063\""), at),
        2 => record_of(body.to_string().replacen('{', "{\"event\":7,", 1), at),
        _ => record(body, at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn b3_a_call_read_in_batches_is_the_same_call(records in records(), spellings in prop::collection::vec(0usize..8, 16), spread in 1i64..4, size in 1usize..6) {
        let records: Vec<Record> = records.iter().zip(spellings).map(|((body, at), how)| spelled(body, how, at * spread)).collect();
        let (call, _) = in_batches(records.chunks(size));
        prop_assert_eq!(seen(&call), seen(&one_by_one(&records)));
    }
}

#[test]
fn the_usual_course_of_a_call_ends_alike_in_batches_of_any_size() {
    let said = |words: &str| json!([{"role": "user", "content": words}]);
    let update = |words: &str, at| {
        json!({"event": "transcript_updated", "event_timestamp": 1_793_541_600_000i64 + at,
            "call": {"call_id": "c", "agent_id": "a", "transcript_object": said(words), "call_status": "ongoing"}})
    };
    let started = record(&voice("call_started", json!({"agent_id": "a"})), 0);
    let mut records = vec![started.clone()];
    records.extend((1..20).map(|n| record(&update(&"word ".repeat(n as usize), n), n * 7)));
    records.push(record(&transfer("transfer_started", "+1", json!({"agent_id": "a"})), 200));
    records.push(record(&transfer("transfer_started", "+1", json!({"agent_id": "b"})), 200));
    records.push(record(&voice("call_ended", json!({"transcript_object": said("all")})), 300));
    records.push(started.clone());
    records.push(record_of(started.body.clone(), 400));
    for size in [1, 4, 100] {
        let (call, endings) = in_batches(records.chunks(size));
        assert_eq!(seen(&call), seen(&one_by_one(&records)));
        let count = |ending| endings.iter().filter(|known| **known == ending).count();
        assert_eq!((count(Ending::Repeat), count(Ending::Same)), (2, 1));
    }
}

#[test]
fn an_event_read_in_a_batch_has_the_same_stamp() {
    for body in [
        voice("call_started", json!({"b": 1.0, "a": "x"})),
        transfer("transfer_started", "+1", json!({"agent_id": "a"})),
    ] {
        let record = record(&body, 3);
        assert_eq!(beside(&record, None).stamp(), event_in(&record).stamp());
    }
}
