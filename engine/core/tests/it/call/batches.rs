//! A call whose batches are read from their ends, as the live group does, is the same call as one whose records are read one by one.

use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_core::call::{Call, Ending};
use trunkline_core::event::{Echo, Event, Reading, read_beside};
use trunkline_core::facts::{CallFacts, Item};
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::record::{Opened, Record};

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
    let stored = record.encode();
    let opened = Opened::of(&stored).unwrap();
    match read_beside(&stored, &opened, &|_, _, _| later) {
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

/// Applies the batches as the live group does: each read from its end, echoes with the event that they are echoes of.
fn in_batches<'a>(batches: impl Iterator<Item = &'a [Record]>) -> (Call, Vec<Ending>, usize) {
    let mut call = Call::new(key(), workspace());
    let mut endings = Vec::new();
    let mut echoed = 0;
    for batch in batches {
        let mut events: Vec<(Event, Vec<Echo>)> = Vec::new();
        for record in batch.iter().rev() {
            let stored = record.encode();
            let opened = Opened::of(&stored).expect("it was encoded so");
            if let Some((event, echoes)) = events.last_mut()
                && let Some(echo) = event.echo(&opened)
            {
                assert_eq!(echo.stamp(), *event_in(record).stamp());
                echoes.push(echo);
                echoed += 1;
                continue;
            }
            let event = beside(record, events.last().map(|(event, _)| event));
            events.push((event, Vec::new()));
        }
        for (event, echoes) in &events {
            endings.push(call.apply(event).ending);
            call.apply_echoes(event, echoes.iter(), |ending| endings.push(ending));
        }
    }
    (call, endings, echoed)
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
        let (call, ..) = in_batches(records.chunks(size));
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
        let (call, endings, echoed) = in_batches(records.chunks(size));
        assert_eq!(echoed > 0, size > 1);
        assert_eq!(seen(&call), seen(&one_by_one(&records)));
        let count = |ending| endings.iter().filter(|known| **known == ending).count();
        assert_eq!((count(Ending::Repeat), count(Ending::Same)), (2, 1));
    }
}

/// Turns that a conversation may have: short and long, blank, escaped, of other roles, with word times or other members.
fn turn() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["agent", "user", "transfer_target", "tool_call_invocation", "odd"]);
    let said = prop::sample::select(vec!["yes", "Sí, señor", "a \"quote\"\nand more", " ", "\u{0}", "はい"]);
    let rest = prop::sample::select(vec![
        json!({}),
        json!({"words": []}),
        json!({"words": [{"word": "yes ", "start": 1.5, "end": 2.25}, {"word": "no", "start": 3, "end": 3.125}]}),
        json!({"words": [{"end": 1e-7, "start": 0.1, "word": "x", "more": [1.0]}], "metadata": {"response_id": 1}}),
    ]);
    (role, said, rest).prop_map(|(role, said, rest)| {
        let mut turn = json!({"role": role, "content": said});
        turn.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        turn
    })
}

/// The turns as Retell spells them: role, content, words, and of a word itself, its start and its end.
fn as_retell_spells(turns: &[Value]) -> String {
    let members = |object: &Value, first: &[&str]| {
        let object = object.as_object().unwrap();
        let rest = object.keys().map(String::as_str).filter(|name| !first.contains(name));
        let named = first.iter().copied().filter(|name| object.contains_key(*name)).chain(rest);
        named.map(|name| (name.to_owned(), object[name].clone())).collect::<Vec<_>>()
    };
    let object = |members: Vec<(String, String)>| {
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let word = |word: &Value| {
        let members = members(word, &["word", "start", "end"]);
        object(members.into_iter().map(|(name, value)| (name, value.to_string())).collect())
    };
    let turn = |turn: &Value| {
        let members = members(turn, &["role", "content", "words"]);
        let spelled = members.into_iter().map(|(name, value)| {
            let words = value.as_array().filter(|_| name == "words");
            let words = words.map(|words| format!("[{}]", words.iter().map(word).collect::<Vec<_>>().join(",")));
            (name, words.unwrap_or_else(|| value.to_string()))
        });
        object(spelled.collect())
    };
    format!("[{}]", turns.iter().map(turn).collect::<Vec<_>>().join(","))
}

/// Where a conversation's updates carry it.
const PLACES: [&[&str]; 5] = [
    &["transcript_object"],
    &["transcript", "transcript_object"],
    &["transcript", "transcript_with_tool_calls", "transcript_object"],
    &["transcript"],
    &["beside", "transcript_object"],
];

/// An update of a call as text: members in a fixed order, so that one may be told from the next by the transcript alone.
fn update(turns: &[Value], places: &[&str], moment: &str, agent: &str) -> String {
    let lines: String = turns
        .iter()
        .map(|turn| format!("User: {}\n", turn["content"].as_str().unwrap().trim()))
        .collect();
    let list = as_retell_spells(turns);
    let value = |place: &str| {
        if place == "transcript" {
            Value::from(lines.clone()).to_string()
        } else {
            list.clone()
        }
    };
    let inside = places.iter().filter(|place| **place != "beside");
    let inside: String = inside.map(|place| format!(",\"{place}\":{}", value(place))).collect();
    let beside = if places.contains(&"beside") {
        format!(",\"transcript_with_tool_calls\":{list}")
    } else {
        String::new()
    };
    format!(
        r#"{{"event":"transcript_updated","event_timestamp":{moment},"call":{{"call_id":"c","agent_id":"{agent}"{inside},"call_status":"ongoing"}}{beside}}}"#
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn b6_a_conversation_read_in_batches_is_the_same_call(
        turns in prop::collection::vec(turn(), 1..6),
        said in prop::collection::vec((0usize..7, 0i64..5, 0usize..12, 0usize..40), 2..14),
        places in prop::sample::select(PLACES.to_vec()),
        ends in any::<bool>(),
        size in 2usize..15,
    ) {
        let mut records: Vec<Record> = said.iter().map(|(length, at, moment, odd)| {
            let moment = match moment { 0 => "\"no\"".to_owned(), 1 => "null".to_owned(), 2 => "1793541600.5".to_owned(), n => (1_793_541_600_000i64 + *n as i64).to_string() };
            let agent = if *odd == 1 { "b" } else { "a" };
            let text = update(&turns[..*length.min(&turns.len())], places, &moment, agent);
            let text = match odd { 2 => text.replace("\"c\"", "\"\\u0063\""), 3 => text.replace("\":[", "\" : [ "), 4 => text.replacen('{', "{\"call\":{},", 1), 5 => text.replace(&as_retell_spells(&turns), &Value::from(turns.clone()).to_string()), _ => text };
            record_of(text, *at)
        }).collect();
        if ends {
            records.push(record(&voice("call_ended", json!({"transcript_object": turns})), 9));
        }
        let (call, endings, _) = in_batches(records.chunks(size));
        let alone = one_by_one(&records);
        prop_assert_eq!(seen(&call), seen(&alone));
        prop_assert_eq!(endings.len(), records.len());
    }
}

#[test]
fn an_update_that_says_less_than_a_later_one_is_its_echo() {
    let turns: Vec<Value> = (0..4)
        .map(|n| json!({"role": "user", "content": format!("turn {n}"), "words": [{"word": "turn ", "start": 1.5, "end": 2}]}))
        .collect();
    for places in PLACES {
        let whole = record_of(update(&turns, places, "1793541600009", "a"), 9);
        let later = beside(&whole, None);
        let is_echo = |text: String| later.echo(&Opened::of(&record_of(text, 1).encode()).unwrap()).is_some();
        assert!(is_echo(update(&turns[..2], places, "1793541600001", "a")), "{places:?}");
        assert!(is_echo(update(&[], places, "1793541600001", "a")), "{places:?}");
        for other in [
            update(&turns, places, "1793541600001", "a"),
            update(&turns[..2], places, "1793541600001", "b"),
            update(&turns[..2], places, "\"soon\"", "a"),
            update(&turns[..2], places, "1793541600001,\"odd\":1", "a"),
            update(&turns[..2], places, "1793541600001", "a").replace("\"c\"", "\"d\""),
            update(&turns[..2], places, "1793541600001", "a").replacen('{', "{\"call\":{},", 1),
            update(&turns[..2], places, "1793541600001", "a") + "x",
            update(&turns[..2], places, "1793541600001", "a").replace("updated", "upended"),
        ] {
            assert!(!is_echo(other.clone()), "{other}");
        }
        let mut foreign = record_of(update(&turns[..2], places, "1793541600001", "a"), 1);
        foreign.header.workspace.0 = uuid::Uuid::from_u128(77);
        assert!(later.echo(&Opened::of(&foreign.encode()).unwrap()).is_none());
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
