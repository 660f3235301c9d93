//! The door: routing and masking (rules A6, A7, A9, A11, A12).

use bytes::Bytes;
use sha2::{Digest, Sha256};
use trunkline_core::door::{Family, Routed, route};
use trunkline_core::event::{Reading, read};
use trunkline_core::id::Kind;
use trunkline_core::record::SetAside;

use crate::given::record_of;

fn routed(body: impl Into<Bytes>) -> Routed {
    route(body.into()).0
}

fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// Key, kind and reason of a body; the full reader must come to the same reason.
fn lands(body: &str) -> (String, Option<Kind>, Option<SetAside>) {
    let routed = routed(body.to_owned());
    let reason = match read(&record_of(body.to_owned(), 0)) {
        Reading::SetAside(reason) => Some(reason),
        _ => None,
    };
    assert_eq!(routed.set_aside, reason, "door and reader differ on {body}");
    (routed.key, routed.kind, routed.set_aside)
}

#[test]
fn a1_what_cannot_be_read_is_set_aside_with_its_reason_and_keyed_by_its_hash() {
    for (body, reason) in [
        ("", SetAside::NotJson),
        ("not json", SetAside::NotJson),
        ("{\"event\":\"call_started\"", SetAside::NotJson),
        ("[]", SetAside::NotAnObject),
        ("\"call_started\"", SetAside::NotAnObject),
        ("null", SetAside::NotAnObject),
        ("{}", SetAside::NoEventName),
        (r#"{"event":""}"#, SetAside::NoEventName),
        (r#"{"event":"\u0000"}"#, SetAside::NoEventName),
        (r#"{"event":7,"call":{"call_id":"c"}}"#, SetAside::NoEventName),
        (r#"{"event":"call_started"}"#, SetAside::NoId),
        (r#"{"event":"alert_triggered"}"#, SetAside::NoAlert),
    ] {
        assert_eq!(lands(body), (hash(body.as_bytes()), None, Some(reason)), "{body}");
    }
    let latin1 = b"{\"event\":\"call_started\",\"call\":{\"call_id\":\"\xE9\"}}".to_vec();
    assert_eq!(routed(latin1.clone()).set_aside, Some(SetAside::NotUtf8));
    assert_eq!(routed(latin1.clone()).key, hash(&latin1));
}

#[test]
fn a6_byte_order_mark_and_white_space_around_are_tolerated() {
    let body = "\u{feff} \r\n\t{\"event\" : \"call_started\" , \"call\" : { \"call_id\" : \"c\" } } \n";
    assert_eq!(lands(body), ("c".into(), Some(Kind::Call), None));
    assert_eq!(lands("\u{feff}\u{feff}{}").2, Some(SetAside::NotJson));
}

#[test]
fn a6_of_repeated_keys_the_last_counts() {
    let body = r#"{"event":"call_ended","event":"call_started","call":{"call_id":"a"},"call":{"call_id":"b","call_id":"c"}}"#;
    assert_eq!(lands(body), ("c".into(), Some(Kind::Call), None));
    assert_eq!(routed(body).event, "call_started");
    assert_eq!(
        lands(r#"{"event":"call_started","call":{"call_id":"a"},"call":null}"#).2,
        Some(SetAside::NoId)
    );
    assert_eq!(
        lands(r#"{"event":"call_started","call":{"call_id":"a","call_id":1}}"#).2,
        Some(SetAside::NoId)
    );
    assert_eq!(
        lands(r#"{"event":"call_started","event":null,"call":{"call_id":"a"}}"#).2,
        Some(SetAside::NoEventName)
    );
    assert_eq!(
        lands(r#"{"event":"alert_resolved","alert":{"a":1},"alert":{}}"#).2,
        Some(SetAside::NoAlert)
    );
}

#[test]
fn s078_a6_512_levels_are_read_and_513_are_set_aside_whatever_brackets_stand_in_text() {
    let nested = |levels: usize, open: &str, close: &str| {
        let inner = levels - 1;
        format!(
            r#"{{"event":"call_started","call":{{"call_id":"c"}},"x":{}1{}}}"#,
            open.repeat(inner),
            close.repeat(inner)
        )
    };
    assert_eq!(lands(&nested(512, "[", "]")).2, None);
    assert_eq!(lands(&nested(513, "[", "]")).2, Some(SetAside::TooDeep));
    assert_eq!(lands(&nested(512, "{\"a\":", "}")).2, None);
    assert_eq!(lands(&nested(513, "{\"a\":", "}")).2, Some(SetAside::TooDeep));
    let text = format!(r#"{{"event":"call_started","call":{{"call_id":"c"}},"x":"{}"}}"#, "[{".repeat(4000));
    assert_eq!(lands(&text).2, None);
    assert_eq!(lands(&"[".repeat(5_000_000)).2, Some(SetAside::TooDeep));
}

#[test]
fn a7_voice_names_read_only_the_call_and_chat_names_only_the_chat() {
    let both = |event: &str| format!(r#"{{"event":"{event}","chat":{{"chat_id":"t"}},"call":{{"call_id":"c"}}}}"#);
    for event in ["call_started", "call_ended", "call_analyzed", "transfer_started", "transfer_ended"] {
        assert_eq!(lands(&both(event)), ("c".into(), Some(Kind::Call), None), "{event}");
    }
    for event in ["chat_started", "chat_ended", "chat_analyzed"] {
        assert_eq!(lands(&both(event)), ("t".into(), Some(Kind::Chat), None), "{event}");
    }
    assert_eq!(lands(r#"{"event":"call_started","chat":{"chat_id":"t"}}"#).2, Some(SetAside::NoId));
    assert_eq!(lands(r#"{"event":"chat_started","call":{"call_id":"c"}}"#).2, Some(SetAside::NoId));
}

#[test]
fn a7_shared_and_unknown_names_read_the_object_that_is_there_the_call_first() {
    for event in ["transcript_updated", "call_paused"] {
        let with = |rest: &str| lands(&format!(r#"{{"event":"{event}",{rest}}}"#));
        assert_eq!(
            with(r#""chat":{"chat_id":"t"},"call":{"call_id":"c"}"#),
            ("c".into(), Some(Kind::Call), None)
        );
        assert_eq!(with(r#""chat":{"chat_id":"t"},"call":{}"#), ("t".into(), Some(Kind::Chat), None));
        assert_eq!(with(r#""chat":{"chat_id":"t"},"call":null"#), ("t".into(), Some(Kind::Chat), None));
        assert_eq!(
            with(r#""chat":{"chat_id":"t"},"call":[{"call_id":"c"}]"#),
            ("t".into(), Some(Kind::Chat), None)
        );
        // Only the id of the object that counts is looked at.
        assert_eq!(with(r#""chat":{"chat_id":"t"},"call":{"x":1}"#).2, Some(SetAside::NoId));
        assert_eq!(with(r#""call":{"chat_id":"t"}"#).2, Some(SetAside::NoId));
    }
    assert_eq!(
        routed(r#"{"event":"transcript_updated","chat":{"chat_id":"t"}}"#).family,
        Family::Chat
    );
}

#[test]
fn s081_a7_an_id_is_a_text_of_1_to_256_bytes_without_control_characters_and_lone_surrogates() {
    let with = |id: &str| lands(&format!(r#"{{"event":"call_started","call":{{"call_id":{id}}}}}"#));
    let aside = Some(SetAside::NoId);
    assert_eq!(with(r#""\u00e9\ud83d\ude42""#), ("é🙂".into(), Some(Kind::Call), None));
    assert_eq!(with(&format!("\"{}\"", "x".repeat(256))).2, None);
    assert_eq!(with(&format!("\"{}\"", "x".repeat(257))).2, aside);
    assert_eq!(with(&format!("\"{}\"", "é".repeat(128))).2, None);
    assert_eq!(with(&format!("\"{}\"", "é".repeat(129))).2, aside);
    for bad in [
        "\"\"",
        "null",
        "7",
        "true",
        "[\"c\"]",
        "{\"a\":\"c\"}",
        r#""a\u0000""#,
        r#""a\nb""#,
        r#""a\u007f""#,
        "\"\u{85}\"",
        r#""\ud800""#,
    ] {
        assert_eq!(with(bad).2, aside, "{bad}");
    }
}

#[test]
fn a7_a_key_spelled_with_escapes_is_the_same_key() {
    let body = r#"{"\u0065vent":"call_started","c\u0061ll":{"call\u005fid":"c"}}"#;
    assert_eq!(lands(body), ("c".into(), Some(Kind::Call), None));
}

#[test]
fn a7_only_the_documented_place_counts() {
    let body = r#"{"event":"call_started","x":{"call":{"call_id":"no"}},"call":{"y":{"call_id":"no"},"z":[{"call_id":"no"}],"call_id":"c","w":{"call_id":"no"}}}"#;
    assert_eq!(lands(body).0, "c");
}

#[test]
fn a9_other_shapes_are_not_guessed() {
    assert_eq!(lands(r#"{"event":"call_started","call_id":"c"}"#).2, Some(SetAside::NoId));
    assert_eq!(
        lands(r#"{"event":"call_started","data":{"call":{"call_id":"c"}}}"#).2,
        Some(SetAside::NoId)
    );
    assert_eq!(
        lands(r#"{"data":{"event":"call_started","call":{"call_id":"c"}}}"#).2,
        Some(SetAside::NoEventName)
    );
    assert_eq!(lands(r#"{"event":"alert_triggered","alert":[]}"#).2, Some(SetAside::NoAlert));
    assert_eq!(lands(r#"{"event":"alert_triggered","alert":{}}"#).2, Some(SetAside::NoAlert));
    assert_eq!(lands(r#"{"event":"alert_triggered","alert":{"name":"n"}}"#).2, None);
    // Names are compared letter by letter: this one is no voice event, so the chat may be read.
    assert_eq!(
        lands(r#"{"event":"Call_started","chat":{"chat_id":"t"}}"#),
        ("t".into(), Some(Kind::Chat), None)
    );
}

#[test]
fn a11_inbound_hooks_are_known_by_name_alone_and_keyed_by_their_hash() {
    for (body, kind) in [
        (
            r#"{"event":"call_inbound","call_inbound":{"call_id":"c","from_number":"+1"}}"#,
            Kind::Call,
        ),
        (r#"{"event":"call_inbound"}"#, Kind::Call),
        (r#"{"event":"call_inbound","call_inbound":7,"call":{"call_id":"c"}}"#, Kind::Call),
        (r#"{"event":"chat_inbound","chat_inbound":null}"#, Kind::Chat),
    ] {
        let routed = routed(body);
        assert_eq!(routed.family, Family::InboundHook(kind));
        assert_eq!((routed.key, routed.kind, routed.set_aside), (hash(body.as_bytes()), None, None));
        assert!(matches!(read(&record_of(body, 0)), Reading::Hook(hook) if hook.kind == kind));
    }
}

#[test]
fn a12_every_token_of_the_call_is_overwritten_in_place_however_its_key_is_spelled() {
    let body = r#"{"event":"call_started","access_token":"outer","call":{"call_id":"c","access_token":"sécret","a":{"access_token":"deep"},"acc\u0065ss_token":"two\"\u0041"},"call":{"call_id":"c","access_token" : "three","access_token":{"x":"no"},"access_token":""},"chat":{"access_token":"chat"}}"#;
    let masked = r#"{"event":"call_started","access_token":"outer","call":{"call_id":"c","access_token":"*******","a":{"access_token":"deep"},"acc\u0065ss_token":"***********"},"call":{"call_id":"c","access_token" : "*****","access_token":{"x":"no"},"access_token":""},"chat":{"access_token":"chat"}}"#;
    let (routed, stored) = route(Bytes::from(body));
    assert!(routed.masked);
    assert_eq!(std::str::from_utf8(&stored).unwrap(), masked);
    assert_eq!(stored.len(), body.len());
}

#[test]
fn a12_a_body_without_a_token_keeps_its_memory() {
    let body =
        Bytes::from(r#"{"event":"call_started","call":{"call_id":"c","access_token":null,"note":"\"access_token\":\"x\""}}"#.to_owned());
    let (routed, stored) = route(body.clone());
    assert!(!routed.masked);
    assert_eq!(stored.as_ptr(), body.as_ptr());
}

#[test]
fn a12_in_a_body_that_is_no_json_a_byte_scan_overwrites_up_to_the_quote_or_the_end() {
    for (body, masked) in [
        (r#"{"call":{"access_token":"abc","x":1"#, r#"{"call":{"access_token":"***","x":1"#),
        (
            r#"{"a":{"access_token" : "a\"b"}, broken "access_token":"tail"#,
            r#"{"a":{"access_token" : "****"}, broken "access_token":"****"#,
        ),
        (
            r#"x"access_token"y"access_token":7 "access_token":"""#,
            r#"x"access_token"y"access_token":7 "access_token":"""#,
        ),
        (r#"{"access_token":"ends\"#, r#"{"access_token":"*****"#),
    ] {
        let (routed, stored) = route(Bytes::from(body));
        assert_eq!(routed.set_aside, Some(SetAside::NotJson));
        assert_eq!(std::str::from_utf8(&stored).unwrap(), masked);
        assert_eq!(routed.masked, body != masked);
        assert_eq!(routed.key, hash(masked.as_bytes()), "hashes are taken of the masked bytes");
    }
    let not_utf8 = [br#"{"access_token":"ab"#.as_slice(), b"\xFF", br#"c","z":1}"#].concat();
    let (routed, stored) = route(Bytes::from(not_utf8));
    assert!(routed.masked);
    assert_eq!(&stored[..], br#"{"access_token":"****","z":1}"#);
    let deep = format!(r#"{{"call":{{"access_token":"abc"}},"x":{}"#, "[".repeat(600));
    let (routed, stored) = route(Bytes::from(deep));
    assert_eq!(routed.set_aside, Some(SetAside::TooDeep));
    assert!(stored.starts_with(br#"{"call":{"access_token":"***"},"#));
}

#[test]
fn a12_a_body_broken_in_its_credential_alone_is_readable_once_that_is_overwritten() {
    let body = [
        br#"{"event":"call_started","call":{"call_id":"c","access_token":"a"#.as_slice(),
        b"\xFF",
        br#"b\q"}}"#,
    ]
    .concat();
    let (routed, stored) = route(Bytes::from(body));
    assert_eq!(
        (&*routed.key, routed.kind, routed.set_aside, routed.masked),
        ("c", Some(Kind::Call), None, true)
    );
    assert!(stored.ends_with(br#""access_token":"*****"}}"#));
}

#[test]
fn a12_hashes_are_taken_of_the_masked_bytes() {
    let body = r#"{"event":"call_inbound","call":{"access_token":"abc"}}"#;
    let masked = r#"{"event":"call_inbound","call":{"access_token":"***"}}"#;
    assert_eq!(routed(body).key, hash(masked.as_bytes()));
}

#[test]
fn an_event_name_is_cut_to_128_characters_in_the_header() {
    let name = "é".repeat(200);
    let routed = routed(format!(r#"{{"event":"{name}","call":{{"call_id":"c"}}}}"#));
    assert_eq!(routed.event, "é".repeat(128));
    assert_eq!((routed.family, routed.kind), (Family::Unknown, Some(Kind::Call)));
}
