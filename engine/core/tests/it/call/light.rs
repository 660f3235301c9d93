//! A call that tells records apart lightly is the same call, and says so when it cannot tell.

use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_core::call::{Call, Ending};
use trunkline_core::event::{Event, Reading, read_lightly};
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

fn light(record: &Record, beside: Option<&Event>) -> Event {
    match read_lightly(&mut record.clone(), &|_, _, _| beside) {
        Reading::Event(event) => *event,
        other => panic!("not an event: {other:?}"),
    }
}

fn exact(records: &[Record]) -> Call {
    let mut call = Call::new(key(), workspace());
    for record in records {
        call.apply(&event_in(record));
    }
    call
}

/// Applies the batches as the live group does: each read from its end, the call built anew when it is undecided. Says how often
/// that was.
fn applied<'a>(batches: impl Iterator<Item = &'a [Record]>) -> (Call, Vec<Ending>, usize) {
    let mut call = Call::light(key(), workspace());
    let (mut before, mut endings, mut undecided): (Vec<Record>, Vec<Ending>, usize) = (Vec::new(), Vec::new(), 0);
    for batch in batches {
        let mut events: Vec<Event> = Vec::new();
        for record in batch.iter().rev() {
            let event = light(record, events.last());
            events.push(event);
        }
        before.extend_from_slice(batch);
        for event in events.iter().rev() {
            let ending = call.apply(event).ending;
            endings.push(ending);
            if ending == Ending::Undecided {
                undecided += 1;
                call = exact(&before);
                break;
            }
        }
    }
    (call, endings, undecided)
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
    fn b3_a_light_call_is_the_same_call(records in records(), spellings in prop::collection::vec(0usize..8, 16), spread in 1i64..4, size in 1usize..6) {
        let records: Vec<Record> = records.iter().zip(spellings).map(|((body, at), how)| spelled(body, how, at * spread)).collect();
        let (call, ..) = applied(records.chunks(size));
        prop_assert_eq!(seen(&call), seen(&exact(&records)));
    }
}

#[test]
fn what_runs_its_usual_course_is_decided_lightly() {
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
        let (call, endings, undecided) = applied(records.chunks(size));
        assert_eq!(undecided, 0);
        assert_eq!(seen(&call), seen(&exact(&records)));
        let count = |ending| endings.iter().filter(|known| **known == ending).count();
        assert_eq!((count(Ending::Repeat), count(Ending::Same)), (2, 1));
    }
}

#[test]
fn what_cannot_be_told_is_said_and_changes_nothing() {
    let start = json!({"event": "call_started", "call": {"call_id": "c", "agent_id": "a"}});
    for (one, other) in [
        // Another spelling of the same content.
        (record(&start, 0), record_of(serde_json::to_string_pretty(&start).unwrap(), 5)),
        // The same millisecond: the order is the order of the hashes.
        (record(&start, 0), record(&voice("call_ended", json!({})), 0)),
        (record(&start, 0), record(&transfer("transfer_started", "+1", json!({})), 0)),
    ] {
        let mut call = Call::light(key(), workspace());
        call.apply(&light(&one, None));
        let before = seen(&call);
        let changes = call.apply(&light(&other, None));
        assert_eq!(changes.ending, Ending::Undecided);
        assert!(!changes.any());
        assert_eq!(seen(&call), before);
    }
}

#[test]
fn a_light_event_still_has_its_stamp() {
    for body in [
        voice("call_started", json!({"b": 1.0, "a": "x"})),
        transfer("transfer_started", "+1", json!({"agent_id": "a"})),
    ] {
        let record = record(&body, 3);
        assert_eq!(light(&record, None).stamp(), event_in(&record).stamp());
    }
}
