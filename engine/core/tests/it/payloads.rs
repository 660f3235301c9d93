//! Every sample body lands where RULES.md sends it.

use trunkline_core::door::{Family, route};
use trunkline_core::event::{Reading, read};
use trunkline_core::id::Kind;
use trunkline_core::record::SetAside;

use crate::given::{payloads, record_of};

/// What a sample should be, by its file name.
fn expected(name: &str) -> Expected {
    match name {
        "edge.missing_call_id" | "edge.call_is_null" | "edge.unknown_event_no_call_object" => Expected::Aside(SetAside::NoId),
        _ if name.starts_with("custom_function.") || name.contains(".response.") => Expected::Aside(SetAside::NoEventName),
        _ if name.starts_with("call_inbound") => Expected::Hook(Kind::Call),
        _ if name.starts_with("chat_inbound") => Expected::Hook(Kind::Chat),
        _ if name.starts_with("alert_") => Expected::Alert,
        _ if name.starts_with("chat_") || name.starts_with("edge.chat_") => Expected::Event(Kind::Chat, true),
        "edge.unknown_event_name" => Expected::Event(Kind::Call, false),
        _ => Expected::Event(Kind::Call, true),
    }
}

#[derive(Debug, PartialEq)]
enum Expected {
    Event(Kind, bool),
    Hook(Kind),
    Alert,
    Aside(SetAside),
}

#[test]
fn every_sample_is_read_as_what_it_is_and_the_door_agrees() {
    let mut count = 0;
    for entry in std::fs::read_dir(payloads()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let body = std::fs::read(&path).unwrap();
        let record = record_of(body.clone(), 0);
        let (routed, _) = route(body.into());
        let found = match read(&record) {
            Reading::Event(event) => {
                assert_eq!(routed.kind, Some(event.key().kind), "{name}");
                assert_eq!(routed.key, *event.key().id, "{name}");
                assert_eq!(routed.event, event.name(), "{name}");
                Expected::Event(event.key().kind, event.known().is_some())
            }
            Reading::Hook(hook) => {
                assert_eq!(routed.family, Family::InboundHook(hook.kind), "{name}");
                Expected::Hook(hook.kind)
            }
            Reading::Alert(_) => {
                assert_eq!(routed.family, Family::Alert, "{name}");
                Expected::Alert
            }
            Reading::SetAside(reason) => {
                assert_eq!(routed.set_aside, Some(reason), "{name}");
                Expected::Aside(reason)
            }
        };
        assert_eq!(found, expected(&name), "{name}");
        count += 1;
    }
    assert!(count >= 60, "only {count} samples found");
}
