//! Whatever bytes come: no panic, no byte lost, door and reader agree.

use bytes::Bytes;
use proptest::prelude::*;
use trunkline_core::call::Call;
use trunkline_core::door::{Family, route};
use trunkline_core::event::{Reading, read};

use crate::given::record_of;

/// Bits of bodies that together often make JSON, and often just not.
const BITS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"event\":",
    "\"call\":",
    "\"chat\":",
    "\"alert\":",
    "\"call_id\":",
    "\"chat_id\":",
    "\"c\"",
    "\"access_token\":",
    "\"tok\\\"en\"",
    "\"call_started\"",
    "\"chat_ended\"",
    "\"transcript_updated\"",
    "\"alert_triggered\"",
    "\"call_inbound\"",
    "\"odd\"",
    "null",
    "true",
    "1",
    "-0.5e3",
    "1e999",
    "\"\\ud800\"",
    "\"\\u0000\"",
    " ",
    "\n",
    "\u{feff}",
    "{\"event\":\"call_ended\",\"call\":{\"call_id\":\"c\",",
    "\"transcript\":\"User: hé\\nAgent: b\"",
    "\"metadata\":{\"a\":[{}]}",
    "\"transcript_object\":[{\"role\":\"user\",\"content\":\"x\",\"words\":[{\"word\":\"x\",\"start\":0.1,\"end\":9e9}]}]",
    "\"start_timestamp\":1793541600",
    "}}",
    "\"latency\":{\"e2e\":{\"values\":[1,-1,\"x\"]}}",
    "\"call_cost\":{\"product_costs\":[{\"cost\":1}]}",
];

fn check(body: Vec<u8>) -> Result<(), TestCaseError> {
    let body = Bytes::from(body);
    let (routed, stored) = route(body.clone());
    prop_assert_eq!(stored.len(), body.len());
    prop_assert!(routed.masked || stored == body);
    prop_assert!(stored.iter().zip(&body).all(|(now, before)| now == before || *now == b'*'));
    let again = route(stored.clone());
    prop_assert_eq!(
        (&again.0.key, again.0.set_aside, &again.1),
        (&routed.key, routed.set_aside, &stored),
        "masking twice is masking once"
    );
    match read(&record_of(body, 0)) {
        Reading::Event(event) => {
            prop_assert_eq!((Some(event.key().kind), &*event.key().id), (routed.kind, &*routed.key));
            let mut call = Call::new(event.key().clone(), event.workspace());
            call.apply(&event);
            call.compact();
            let facts = call.facts();
            prop_assert!(facts.duration_ms.is_none_or(|ms| ms >= 0));
            prop_assert!(event.items().len() >= call.transcript().len());
        }
        Reading::SetAside(reason) => prop_assert_eq!(routed.set_aside, Some(reason)),
        Reading::Alert(_) => prop_assert_eq!(routed.family, Family::Alert),
        Reading::Hook(hook) => prop_assert_eq!(routed.family, Family::InboundHook(hook.kind)),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn a1_no_bytes_are_refused_by_a_panic(body: Vec<u8>) {
        check(body)?;
    }

    #[test]
    fn a7_door_and_reader_agree_on_nearly_readable_bodies(bits in prop::collection::vec(prop::sample::select(BITS.to_vec()), 0..24)) {
        check(bits.concat().into_bytes())?;
    }

    #[test]
    fn s083_a7_door_and_reader_agree_on_damaged_bodies(bits in prop::collection::vec(prop::sample::select(BITS[33..].to_vec()), 0..6), at: prop::sample::Index, byte: u8) {
        let members: Vec<&str> = bits.into_iter().filter(|bit| bit.starts_with('"')).collect();
        let whole = format!("{{\"event\":\"call_ended\",\"call\":{{\"call_id\":\"c\",\"access_token\":\"secret\",{}}}}}", members.join(","));
        let mut bytes = whole.replace(",}", "}").into_bytes();
        check(bytes.clone())?;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(bytes)?;
    }
}
