//! What the core reads from outside, damaged for a while: bodies of events, signature headers, stored records, checkpoints, evidence of use.

use bytes::Bytes;
use trunkline_core::call::Call;
use trunkline_core::checkpoint::{marker_key, read as read_part};
use trunkline_core::door::route;
use trunkline_core::event::{Reading, read};
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::instant::Millis;
use trunkline_core::record::Record;
use trunkline_core::signature::{SigningKey, sign, verify};
use trunkline_core::usage::Evidence;

use crate::damage::damage;
use crate::given::{NOW, payloads, record_of};

/// Retell's samples as they came.
fn bodies() -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(payloads()).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let found: Vec<Vec<u8>> = json.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(found.len() > 10);
    found
}

#[test]
fn bodies_of_events() {
    damage("bodies of events", &bodies(), |body| {
        let body = Bytes::copy_from_slice(body);
        let (routed, stored) = route(body.clone());
        assert!(routed.masked || stored == body);
        assert_eq!(stored.len(), body.len());
        match read(&record_of(body, 0)) {
            Reading::Event(event) => {
                let mut call = Call::new(event.key().clone(), event.workspace());
                call.apply(&event);
                let before = call.facts();
                call.apply(&event);
                assert_eq!(call.facts().connected, before.connected);
                let stored = call.encode();
                assert!(Call::decode(event.key().clone(), &stored).is_some(), "what we write we read");
            }
            Reading::SetAside(reason) => assert_eq!(routed.set_aside, Some(reason)),
            Reading::Alert(_) | Reading::Hook(_) => {}
        }
    });
}

#[test]
fn signature_headers() {
    let (key, body, now) = (SigningKey::from("key"), b"{\"event\":\"call_ended\"}", Millis(NOW));
    let right = sign(body, &key, now);
    let digest = right.split("d=").nth(1).unwrap().to_owned();
    let seeds = [
        right.clone(),
        format!(" {right} "),
        right.to_uppercase(),
        format!("v=1,{right}"),
        "v=,d=".to_owned(),
    ];
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
    damage("signature headers", &seeds, |header| {
        if verify(&[header], body, std::slice::from_ref(&key), now).is_ok() {
            // Nothing but the right code at the right time is believed, however it is spelled.
            let text = String::from_utf8_lossy(header).to_lowercase();
            assert!(text.contains(&format!("v={}", now.0)) && text.contains(&digest), "{text}");
        }
    });
}

#[test]
fn stored_records() {
    let seeds: Vec<Vec<u8>> = bodies().into_iter().map(|body| record_of(body, 0).encode().to_vec()).collect();
    damage("stored records", &seeds, |stored| {
        if let Ok(record) = Record::decode(&Bytes::copy_from_slice(stored)) {
            let again = Record::decode(&record.encode()).expect("what we write we read");
            assert_eq!(again.header.key, record.header.key);
        }
    });
}

#[test]
fn checkpoints() {
    let key = || CallKey {
        tenant: crate::given::tenant(),
        kind: Kind::Call,
        id: "c".into(),
    };
    let seeds: Vec<Vec<u8>> = bodies()
        .into_iter()
        .filter_map(|body| match read(&record_of(body, 0)) {
            Reading::Event(event) => {
                let mut call = Call::new(event.key().clone(), event.workspace());
                call.apply(&event);
                Some(call.encode().into_vec())
            }
            _ => None,
        })
        .collect();
    damage("checkpoints", &seeds, |stored| {
        let _ = read_part(&marker_key(), stored);
        let _ = Evidence::decode(stored);
        if let Some(call) = Call::decode(key(), stored) {
            let _ = (call.facts(), call.memory_bytes());
            assert!(Call::decode(key(), &call.encode()).is_some(), "what we write we read");
        }
    });
}
