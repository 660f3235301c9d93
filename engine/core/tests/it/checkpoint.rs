//! What is stored of the live group comes back as it was, whatever comes next, and what is not whole is refused.

use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_core::call::Call;
use trunkline_core::checkpoint::{
    Marker, Note, Part, SetAsides, Standing, StoredCall, StoredState, Unreadable, call_key, marker_key, meaning, read, set_asides_key,
};
use trunkline_core::event::Event;
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Rules, contribution};
use trunkline_core::record::SetAside;

use crate::call::order::records;
use crate::given::{NOW, blank, call_of, event, sample, tenant, workspace};

/// Key and value of each part of [`golden`], in hex. Never edited; a new form gets a new file.
const GOLDEN: &str = include_str!("golden/checkpoint_v1.hex");

/// What the samples add to the figures. Other bytes mean other figures: raise `FIGURES_VERSION` in `checkpoint/marker.rs`, then write
/// this anew.
const FIGURES: &str = include_str!("golden/figures_v1.hex");

fn key() -> CallKey {
    CallKey {
        tenant: tenant(),
        kind: Kind::Call,
        id: "c".into(),
    }
}

/// A call that has everything a call can have.
fn rich() -> Call {
    let with = |event: &str, fields: Value| {
        let mut call = json!({"call_id": "c", "agent_id": "agent_a", "agent_name": "Anna", "agent_version": 3, "agent_tag": "prod",
            "call_type": "phone_call", "direction": "inbound", "from_number": "+12025550100", "to_number": "+12025550101",
            "start_timestamp": NOW - 90_000, "metadata": {"a": 1, "b": "x"}, "retell_llm_dynamic_variables": {"name": "Bo"}});
        call.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"event": event, "call": call})
    };
    let said = json!({"transcript_object": [
        {"role": "agent", "content": "Guten Tag, こんにちは", "words": [{"word": "Guten", "start": 0.5, "end": 1.25}]},
        {"role": "user", "content": "Hello", "words": [{"word": "Hello", "start": 1.5, "end": 2.0}]}]});
    let mut transfer = with("transfer_started", json!({}));
    transfer["transfer_destination"] = json!({"number": "+12025550102", "extension": "9"});
    let ended = with(
        "call_ended",
        json!({"call_status": "ended", "end_timestamp": NOW, "duration_ms": 90_000, "disconnection_reason": "call_transfer",
            "recording_url": "https://x.invalid/r", "transfer_end_timestamp": (NOW + 5_000) / 1_000, "transfer_destination": "+12025550102",
            "collected_dynamic_variables": {"mood": "fine"}, "latency": {"e2e": {"values": [400.5, 500]}},
            "call_cost": {"combined_cost": 7.5, "total_duration_seconds": 90, "total_duration_unit_price": 0.08,
                "product_costs": [{"product": "voice", "cost": 5.5}, {"product": "leg", "cost": 2, "is_transfer_leg_cost": true}]}}),
    );
    let analyzed = with(
        "call_analyzed",
        json!({"call_analysis": {"call_summary": "Well.", "call_successful": true, "user_sentiment": "Positive", "in_voicemail": false,
            "custom_analysis_data": {"score": 5}}}),
    );
    let bodies = [
        (with("call_started", json!({"call_status": "ongoing"})), 0),
        (with("transcript_updated", said), 1),
        (transfer, 2),
        (with("call_paused", json!({})), 3),
        (with("call_started", json!({"call_status": "ongoing"})), 4),
        (with("transcript_updated", json!({"duration_ms": "long"})), 5),
        (ended, 6),
        (analyzed, 7),
    ];
    let events: Vec<Event> = bodies.iter().map(|(body, at)| event(body, *at)).collect();
    let mut call = call_of(&events);
    call.presume_ended(Millis(NOW + 9));
    call
}

fn standing(call: &Call) -> Standing {
    let facts = call.facts();
    Standing {
        state: facts.state,
        direction: facts.direction,
        presumed_ended: facts.presumed_ended,
        open_transfer: true,
        last_received_at: facts.last_received_at,
        agent: facts.agent_id.clone(),
        agent_name: facts.agent_name.clone(),
        contribution: contribution(&facts, &Rules::default()).pack(),
    }
}

/// One of each part.
fn golden(call: &[u8], standing: Standing) -> Vec<(Vec<u8>, Vec<u8>, Part<'_>)> {
    let state = StoredState {
        idle: false,
        owner_agent: Some("agent_a".into()),
        standing: Some(standing),
        call,
    };
    let whole = StoredCall {
        as_of: 4_096,
        workspace: workspace(),
        heard_at: Millis(NOW),
        trail: vec![70, 71, 5_000_000_000],
        state: Some(state),
    };
    let unbuilt = StoredCall {
        state: None,
        ..whole.clone()
    };
    let chat = CallKey { kind: Kind::Chat, ..key() };
    let asides = SetAsides {
        as_of: 4_097,
        counts: vec![(None, SetAside::Damaged, 2), (Some(tenant()), SetAside::Poisoned, 300)],
        notes: vec![Note {
            offset: 12,
            reason: SetAside::NoId,
            tenant: Some(tenant()),
            workspace: Some(workspace()),
            event: "call_started".into(),
            key: "k".into(),
            received_at: Millis(NOW),
            detail: Some("no call_id".into()),
        }],
    };
    let marker = Marker {
        log: "postgres:x".into(),
        meaning: 0x0123_4567_89AB_CDEF,
        next: 5_000,
        epoch: 3,
        applied_to: Some(Millis(NOW - 1)),
        taken_at: Millis(NOW),
        calls: 2,
        gaps: vec![(7, 9)],
    };
    let (calls, chats) = (whole.encode(&key()), unbuilt.encode(&chat));
    let (asides_at, marker_at) = (asides.encode(), marker.encode());
    vec![
        (calls.0, calls.1, Part::Call(key(), whole)),
        (chats.0, chats.1, Part::Call(chat, unbuilt)),
        (asides_at.0, asides_at.1, Part::SetAsides(asides)),
        (marker_at.0, marker_at.1, Part::Marker(marker)),
    ]
}

#[test]
fn what_version_1_wrote_is_read_as_on_its_first_day() {
    let call = rich();
    let bytes = call.encode();
    let parts = golden(&bytes, standing(&call));
    let written: Vec<String> = parts.iter().map(|(key, value, _)| format!("{} {}", hex(key), hex(value))).collect();
    assert_eq!(written, GOLDEN.lines().collect::<Vec<_>>(), "\n{}", written.join("\n"));
    for (key, value, part) in &parts {
        assert_eq!(read(key, value).as_ref(), Ok(part));
    }
    assert_eq!((parts[0].0.as_slice(), parts[3].0.as_slice()), (&*call_key(&key()), &*marker_key()));
    let again = Call::decode(key(), &bytes).expect("it was written so");
    assert_eq!((again.facts(), again.lacks_text()), (call.facts(), true));
}

#[test]
fn what_is_not_whole_is_refused() {
    let call = rich();
    let bytes = call.encode();
    for (key, value, _) in golden(&bytes, standing(&call)) {
        for cut in 0..value.len() {
            assert_eq!(read(&key, &value[..cut]), Err(Unreadable::Damaged), "cut at {cut}");
        }
        for place in 0..value.len() {
            let mut bent = value.clone();
            bent[place] ^= 0x10;
            assert_eq!(read(&key, &bent), Err(Unreadable::Damaged), "bent at {place}");
        }
        let other = if key == set_asides_key() { marker_key() } else { set_asides_key() };
        assert_eq!(read(&other, &value), Err(Unreadable::Damaged), "under another key");
    }
    for cut in 0..bytes.len() {
        assert!(Call::decode(key(), &bytes[..cut]).is_none(), "cut at {cut}");
    }
    let (key, mut value) = golden(&bytes, standing(&call)).pop().map(|(key, value, _)| (key, value)).unwrap();
    value.truncate(value.len() - 4);
    value[0] = 9;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&key);
    sum.update(&value);
    value.extend_from_slice(&sum.finalize().to_be_bytes());
    assert_eq!(read(&key, &value), Err(Unreadable::OtherVersion(9)));
}

#[test]
fn figures_of_other_rules_or_another_version_mean_something_else() {
    let other = Rules {
        ai_within_ms: 4_000,
        ..Rules::default()
    };
    assert_ne!(meaning(&Rules::default()), meaning(&other));
    let names = [
        "call_started.phone_inbound",
        "call_ended.phone_inbound.call_transfer",
        "call_analyzed.phone_outbound.voicemail",
        "edge.dial_no_answer.call_ended",
        "chat_analyzed",
    ];
    let mut lines: Vec<String> = names.map(|name| figures_of(&call_of(&[event(&sample(name), 0)]))).into();
    lines.push(figures_of(&rich()));
    assert_eq!(lines, FIGURES.lines().collect::<Vec<_>>(), "\n{}", lines.join("\n"));
}

fn figures_of(call: &Call) -> String {
    let state = StoredState {
        idle: true,
        owner_agent: None,
        standing: Some(standing(call)),
        call: &[],
    };
    let stored = StoredCall {
        as_of: 0,
        workspace: workspace(),
        heard_at: Millis(0),
        trail: Vec::new(),
        state: Some(state),
    };
    hex(&stored.encode(&key()).1)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn set_of(records: &[(Value, i64)]) -> Vec<Event> {
    records.iter().map(|(body, at)| event(body, *at)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Stored and read at any moment, a call goes on as if nothing had been: same facts and same bytes after each later event, and
    /// the words are back when its records are applied once more.
    #[test]
    fn a_stored_call_behaves_as_the_call_does(
        records in records(), when in any::<prop::sample::Index>(), presumed in prop::option::of(0i64..8), compacted in any::<bool>()
    ) {
        let events = set_of(&records);
        let when = when.index(events.len() + 1);
        let mut call = blank(Kind::Call, "c");
        for event in &events[..when] {
            call.apply(event);
        }
        if compacted {
            call.compact();
        }
        let bytes = call.encode();
        let mut stored = Call::decode(key(), &bytes).expect("it was written so");
        prop_assert_eq!(&stored.encode(), &bytes);
        prop_assert_eq!(stored.facts(), call.facts());
        if let Some(at) = presumed {
            prop_assert_eq!(stored.presume_ended(Millis(NOW + at)), call.presume_ended(Millis(NOW + at)));
        }
        for event in &events[when..] {
            let (is, was) = (stored.apply(event), call.apply(event));
            prop_assert_eq!((is.ending, is.created, is.state, is.fields), (was.ending, was.created, was.state, was.fields));
            prop_assert_eq!(stored.facts(), call.facts());
            prop_assert_eq!((stored.exists(), stored.encode()), (call.exists(), call.encode()));
        }
        for event in events.iter().rev() {
            stored.apply(event);
            call.apply(event);
        }
        prop_assert!(!stored.lacks_text());
        prop_assert_eq!(stored.transcript(), call.transcript());
        prop_assert_eq!((stored.facts(), stored.encode()), (call.facts(), call.encode()));
    }

    /// A call that was stored later than the marker says: the records between come twice, and change nothing.
    #[test]
    fn records_that_are_in_already_change_nothing(records in records(), marker in any::<prop::sample::Index>(), when in any::<prop::sample::Index>()) {
        let events = set_of(&records);
        let marker = marker.index(events.len() + 1);
        let when = (marker + when.index(events.len() + 1)).min(events.len());
        let mut whole = blank(Kind::Call, "c");
        let mut later = blank(Kind::Call, "c");
        for event in &events {
            whole.apply(event);
        }
        for event in &events[..when] {
            later.apply(event);
        }
        let mut restored = Call::decode(key(), &later.encode()).expect("it was written so");
        for event in &events[marker..] {
            restored.apply(event);
        }
        prop_assert_eq!((restored.facts(), restored.encode()), (whole.facts(), whole.encode()));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let _ = Call::decode(key(), &bytes);
        let _ = read(&marker_key(), &bytes);
        let mut bent = rich().encode();
        let place = place.index(bent.len());
        bent[place] = byte;
        if let Some(mut call) = Call::decode(key(), &bent) {
            let _ = (call.facts(), call.memory_bytes(), call.encode());
            call.apply(&event(&json!({"event": "call_ended", "call": {"call_id": "c", "transcript": "User: a\nAgent: b"}}), 20));
            let _ = (call.facts(), call.transcript());
        }
    }
}
