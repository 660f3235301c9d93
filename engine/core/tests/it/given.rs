//! What tests are given: the samples of Retell's bodies, and records made of bodies.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;
use trunkline_core::call::{Call, Changes};
use trunkline_core::door;
use trunkline_core::event::{Event, Reading, read};
use trunkline_core::facts::CallFacts;
use trunkline_core::id::{CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{Record, Source};
use uuid::Uuid;

/// The moment tests count from: 2026-11-22T00:00:00Z, later than every sample.
pub const NOW: i64 = 1_795_305_600_000;

pub fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

pub fn workspace() -> WorkspaceId {
    WorkspaceId(Uuid::from_u128(2))
}

/// The directory of the samples: `TRUNKLINE_SHARED`, else `../shared` beside the checkout.
pub fn payloads() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let shared = std::env::var_os("TRUNKLINE_SHARED").map_or_else(beside, PathBuf::from);
    let payloads = shared.join("retell/payloads");
    assert!(
        payloads.is_dir(),
        "the sample payloads are not at {}: set TRUNKLINE_SHARED to the directory that holds retell/payloads, or put shared/ beside the checkout",
        payloads.display()
    );
    payloads
}

/// A sample by its name without `.json`, as JSON.
pub fn sample(name: &str) -> Value {
    let path = payloads().join(format!("{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("sample {}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// A stored record of a body, received `after` ms after [`NOW`].
pub fn record_of(body: impl Into<Bytes>, after: i64) -> Record {
    let (routed, body) = door::route(body.into());
    door::record(routed, body, Millis(NOW + after), tenant(), workspace(), Source::Webhook)
}

/// A record of JSON.
pub fn record(body: &Value, after: i64) -> Record {
    record_of(serde_json::to_vec(body).unwrap(), after)
}

/// The event in a record.
pub fn event_in(record: &Record) -> Event {
    match read(record) {
        Reading::Event(event) => *event,
        other => panic!("not an event: {other:?}"),
    }
}

/// The event of a body.
pub fn event(body: &Value, after: i64) -> Event {
    event_in(&record(body, after))
}

/// The event of a body as text.
pub fn event_of(body: &str, after: i64) -> Event {
    event_in(&record_of(body.to_owned(), after))
}

/// A call that nothing came of yet.
pub fn blank(kind: Kind, id: &str) -> Call {
    Call::new(
        CallKey {
            tenant: tenant(),
            kind,
            id: id.into(),
        },
        workspace(),
    )
}

/// A call made of events, in this order.
pub fn call_of(events: &[Event]) -> Call {
    let mut call = Call::new(events[0].key().clone(), workspace());
    for event in events {
        apply(&mut call, event);
    }
    call
}

/// Applies an event of this very call.
pub fn apply(call: &mut Call, event: &Event) -> Changes {
    assert_eq!(call.key(), event.key(), "events of another call");
    call.apply(event)
}

/// Facts of a call made of bodies, one second apart.
pub fn facts_of(bodies: &[Value]) -> CallFacts {
    let events: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(place, body)| event(body, place as i64 * 1000))
        .collect();
    call_of(&events).facts()
}
