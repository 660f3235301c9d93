//! What a call adds to the bill, and that what is kept for it says the same as all records.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use trunkline_core::announcement::{Told, Topic, body};
use trunkline_core::call::Call;
use trunkline_core::event::{Event, Reading, read};
use trunkline_core::facts::CallFacts;
use trunkline_core::id::{BusinessId, Kind};
use trunkline_core::instant::Millis;
use trunkline_core::usage::{Evidence, UnreadableEvidence, Usage, usage};
use uuid::Uuid;

use crate::given::{NOW, blank, event, facts_of, payloads, sample};

/// One line of hex: the evidence of [`golden`]. Never edited; a new form gets a new file.
const EVIDENCE: &str = include_str!("golden/usage_evidence_v1.hex");
/// The bodies that endpoints receive, one a line. Never edited; a new version gets a new file.
const BODIES: &str = include_str!("golden/announcements_v1.jsonl");

fn call(event: &str, fields: Value) -> Value {
    let mut call = fields;
    call["call_id"] = json!("c");
    json!({"event": event, "call": call})
}

#[test]
fn a_call_adds_what_the_table_says() {
    let start = NOW - 60_000;
    let ended = |fields: Value| call("call_ended", fields);
    let nothing = Usage::default();
    let one = Usage { calls: 1, ..nothing };
    let connected = Usage { connected: 1, ..one };
    let table = [
        (
            "a call that runs",
            vec![call("call_started", json!({"start_timestamp": start}))],
            connected,
        ),
        (
            "a call that was dialled and not answered",
            vec![ended(json!({"disconnection_reason": "dial_no_answer", "duration_ms": 9_000}))],
            one,
        ),
        (
            "a connected call of a minute",
            vec![ended(
                json!({"start_timestamp": start, "end_timestamp": NOW, "disconnection_reason": "user_hangup"}),
            )],
            Usage {
                timed: 1,
                talk_ms: 60_000,
                ..connected
            },
        ),
        (
            "Retell's own duration wins over the two moments",
            vec![ended(
                json!({"start_timestamp": start, "end_timestamp": NOW, "duration_ms": 61_000}),
            )],
            Usage {
                timed: 1,
                talk_ms: 61_000,
                ..connected
            },
        ),
        (
            "a cost with a transfer leg, and the correction of it when that leg ends",
            vec![
                ended(json!({"start_timestamp": start, "duration_ms": 5, "call_cost": {"combined_cost": 10.5}})),
                call(
                    "transfer_ended",
                    json!({"call_cost": {"combined_cost": 12.25, "product_costs": [
                        {"product": "voice", "cost": 10.25}, {"product": "leg", "cost": 2, "is_transfer_leg_cost": true}]}}),
                ),
            ],
            Usage {
                timed: 1,
                talk_ms: 5,
                priced: 1,
                cost_microcents: 12_250_000,
                transfer_leg_microcents: 2_000_000,
                ..connected
            },
        ),
        (
            "parts alone give no combined cost",
            vec![ended(
                json!({"disconnection_reason": "dial_busy", "call_cost": {"product_costs": [{"product": "a", "cost": 3}]}}),
            )],
            one,
        ),
        (
            "a chat",
            vec![json!({"event": "chat_ended", "chat": {"chat_id": "c", "chat_cost": {"combined_cost": 1}}})],
            Usage {
                chats: 1,
                priced: 1,
                cost_microcents: 1_000_000,
                ..nothing
            },
        ),
    ];
    for (what, bodies, expected) in table {
        assert_eq!(usage(&facts_of(&bodies)), expected, "{what}");
    }
}

#[test]
fn a_difference_takes_back_exactly_what_was_added() {
    let (before, after) = (usage(&golden_facts(1)), usage(&golden_facts(4)));
    assert_eq!(before + (after - before), after);
    assert_eq!(after - after, Usage::default());
}

#[test]
fn a_call_is_told_once_and_a_presumed_end_once_more_when_it_is_proved() {
    let mut told = Told::default();
    let started = facts_of(&[call("call_started", json!({}))]);
    assert_eq!(told.tell(&started), []);
    let mut running = Call::new(started.key.clone(), started.workspace);
    running.apply(&event(&call("call_started", json!({})), 0));
    running.presume_ended(Millis(NOW + 1));
    assert_eq!(told.tell(&running.facts()), [Topic::CallEnded]);
    assert_eq!(told.tell(&running.facts()), []);
    running.apply(&event(
        &call("call_analyzed", json!({"call_analysis": {"call_successful": true}})),
        5,
    ));
    assert_eq!(told.tell(&running.facts()), [Topic::CallEnded, Topic::CallAnalyzed]);
    assert_eq!(told.tell(&running.facts()), []);
    for topic in Topic::ALL {
        assert_eq!(Topic::parse(topic.as_str()), Some(topic));
        assert_eq!(serde_json::to_value(topic).unwrap(), topic.as_str());
    }
}

fn golden_events(number: usize) -> Vec<Event> {
    let fixed = [
        call(
            "call_started",
            json!({"agent_id": "agent_é", "call_type": "phone_call", "direction": "inbound", "call_status": "ongoing",
                                    "start_timestamp": 1_795_305_000_000i64, "from_number": "+14155550100"}),
        ),
        call(
            "call_ended",
            json!({"agent_id": "agent_é", "start_timestamp": 1_795_305_000, "end_timestamp": 1_795_305_060_000i64,
                                  "duration_ms": 60_000, "disconnection_reason": "user_hangup", "call_cost": {"combined_cost": 10.5},
                                  "transcript": "Agent: Hello\nUser: Hi"}),
        ),
        call(
            "call_analyzed",
            json!({"call_analysis": {"call_summary": "secret words", "call_successful": true, "user_sentiment": "Positive",
                                     "in_voicemail": false}}),
        ),
        call(
            "transfer_ended",
            json!({"call_cost": {"combined_cost": 12.5, "product_costs": [
                                     {"product": "leg", "cost": 2, "is_transfer_leg_cost": true}]}}),
        ),
    ];
    let mut events: Vec<Event> = fixed[..number]
        .iter()
        .enumerate()
        .map(|(place, body)| event(body, place as i64 * 1_000))
        .collect();
    events.push(event(&call("call_paused", json!({})), 9_000));
    events
}

fn golden_facts(number: usize) -> CallFacts {
    folded(&golden_events(number)).facts()
}

fn folded<'a>(events: impl IntoIterator<Item = &'a Event>) -> Call {
    let mut call = blank(Kind::Call, "c");
    for event in events {
        call.apply(event);
    }
    call
}

fn noted<'a>(events: impl IntoIterator<Item = &'a Event>) -> Evidence {
    let mut evidence = Evidence::default();
    for event in events {
        evidence.note(event);
    }
    evidence
}

#[test]
fn evidence_of_version_1_is_written_and_read_as_on_its_first_day() {
    let evidence = noted(&golden_events(4));
    let stored = evidence.encode();
    assert_eq!(hex::encode(&stored), EVIDENCE.trim());
    assert_eq!(Evidence::decode(&stored).unwrap(), evidence);
    let text = String::from_utf8_lossy(&stored).into_owned();
    assert!(
        !text.contains("secret") && !text.contains("4155550100") && !text.contains("Hello"),
        "no words and no numbers are kept"
    );
    assert_eq!(Evidence::decode(&[2]), Err(UnreadableEvidence::NewerVersion(2)));
    for cut in 0..stored.len() {
        assert_eq!(Evidence::decode(&stored[..cut]), Err(UnreadableEvidence::Damaged), "cut at {cut}");
    }
}

#[test]
fn the_bodies_of_version_1_are_as_on_their_first_day() {
    let business = BusinessId(Uuid::from_u128(7));
    let lines: Vec<String> = [(Topic::CallEnded, 2), (Topic::CallAnalyzed, 4)]
        .map(|(topic, events)| body(topic, &golden_facts(events), business, Millis(NOW)))
        .into();
    assert_eq!(lines, BODIES.lines().collect::<Vec<_>>());
}

/// What usage and announcements look at.
fn looked_at(facts: &CallFacts) -> (Usage, String, String) {
    let mut told = Told::default();
    let topics = told.tell(facts);
    let place = format!("{:?} {:?} {:?} {:?}", facts.workspace, facts.owner_agent, facts.opened_at(), topics);
    (
        usage(facts),
        place,
        body(Topic::CallEnded, facts, BusinessId(Uuid::nil()), Millis(0)),
    )
}

#[test]
fn what_is_kept_of_the_samples_says_the_same_as_all_of_them() {
    let names = std::fs::read_dir(payloads())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut events = 0;
    for name in names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)) {
        let Reading::Event(event) = read(&crate::given::record(&sample(&name), 0)) else {
            continue;
        };
        let mut call = Call::new(event.key().clone(), event.workspace());
        call.apply(&event);
        let kept = noted([&*event]).facts(event.key());
        assert_eq!(kept.is_some(), call.exists(), "{name}");
        if let Some(kept) = kept {
            assert_eq!(looked_at(&kept), looked_at(&call.facts()), "{name}");
        }
        events += 1;
    }
    assert!(events > 30, "only {events} samples are events");
}

fn field() -> impl Strategy<Value = (&'static str, Value)> {
    let few = |values: Vec<Value>| prop::sample::select(values);
    let day = 86_400_000;
    let moment = || {
        few(vec![
            json!(1_793_541_600_000i64),
            json!(1_793_541_600),
            json!(NOW + day),
            json!(NOW + day + 2),
            json!("no"),
        ])
    };
    let said = few(vec![
        json!("User: a"),
        json!("User: a\nAgent: b"),
        json!("Agent: a\nAgent: c"),
        json!("Agent: b"),
        json!("silence"),
    ]);
    let analysis = few(vec![
        json!({"call_summary": "s"}),
        json!({"user_sentiment": "Positive"}),
        json!({"custom_analysis_data": {"b": 1}, "in_voicemail": true}),
        json!({"call_successful": true}),
        json!({"call_successful": 3}),
    ]);
    let cost = few(vec![
        json!({"combined_cost": 1}),
        json!({"combined_cost": 2.5, "product_costs": [{"product": "p", "cost": 2, "is_transfer_leg_cost": true}]}),
        json!({"product_costs": [{"product": "p", "cost": 2}]}),
        json!({"combined_cost": -1}),
    ]);
    prop_oneof![
        few(vec![json!("a"), json!("b"), json!(7)]).prop_map(|value| ("agent_id", value)),
        few(vec![json!("a"), json!("b")]).prop_map(|value| ("agent_name", value)),
        few(vec![json!("phone_call"), json!("web_call")]).prop_map(|value| ("call_type", value)),
        few(vec![json!("ongoing"), json!("registered"), json!("not_connected")]).prop_map(|value| ("call_status", value)),
        few(vec![json!("user_hangup"), json!("dial_busy"), json!("odd")]).prop_map(|value| ("disconnection_reason", value)),
        moment().prop_map(|value| ("start_timestamp", value)),
        moment().prop_map(|value| ("end_timestamp", value)),
        few(vec![json!(5), json!(6), json!(-1)]).prop_map(|value| ("duration_ms", value)),
        said.prop_map(|value| ("transcript", value)),
        analysis.prop_map(|value| ("call_analysis", value)),
        cost.prop_map(|value| ("call_cost", value)),
        few(vec![json!({"a": 1}), json!({"b": 2})]).prop_map(|value| ("metadata", value)),
    ]
}

/// Records of one call, received close together, so that many tie; few bodies, so that many repeat.
fn records() -> impl Strategy<Value = Vec<(Value, i64)>> {
    let names = vec![
        "call_started",
        "transcript_updated",
        "transfer_started",
        "transfer_bridged",
        "call_ended",
        "call_analyzed",
        "transfer_ended",
        "call_paused",
    ];
    let body = (prop::sample::select(names), prop::collection::vec(field(), 0..6)).prop_map(|(name, fields)| {
        let call: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self::call(name, Value::Object(call))
    });
    prop::collection::vec(body, 1..8).prop_flat_map(|bodies| {
        let count = bodies.len();
        prop::collection::vec((0..count, 0i64..6), 1..16)
            .prop_map(move |chosen| chosen.into_iter().map(|(place, at)| (bodies[place].clone(), at)).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    /// The ledger's law: what is kept, in any order, with any repetition, stored and read in between, says what all records say.
    #[test]
    fn any_order_and_any_repetition_give_the_usage_of_the_whole_call(
        records in records(), seed in prop::collection::vec(any::<prop::sample::Index>(), 40), presumed in prop::option::of(0i64..8)
    ) {
        let events: Vec<Event> = records.iter().map(|(body, at)| event(body, *at)).collect();
        let mut whole = folded(&events);
        if let Some(at) = presumed {
            whole.presume_ended(Millis(NOW + at));
        }
        let mut order: Vec<usize> = (0..events.len()).collect();
        for (place, index) in seed.iter().enumerate().take(events.len()) {
            order.swap(place, index.index(events.len()));
        }
        let again = seed.iter().map(|index| index.index(events.len()));
        let mut evidence = Evidence::default();
        for place in order.iter().zip(again).flat_map(|(one, other)| [*one, other, *one]) {
            evidence.note(&events[place]);
            evidence = Evidence::decode(&evidence.encode()).unwrap();
        }
        if let Some(at) = presumed {
            let silent = json!({"event": "trunkline_presumed_ended", "call": {"call_id": "c"}});
            let mut record = crate::given::record(&silent, at);
            record.header.source = trunkline_core::record::Source::Reaper;
            evidence.note(&crate::given::event_in(&record));
        }
        let kept = evidence.facts(whole.key());
        prop_assert_eq!(kept.is_some(), whole.exists());
        if let Some(kept) = kept {
            prop_assert_eq!(looked_at(&kept), looked_at(&whole.facts()));
        }
        for event in &events {
            prop_assert!(!evidence.note(event), "a record read again changes nothing");
        }
    }

    #[test]
    fn no_bytes_make_reading_evidence_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Evidence::decode(&bytes);
        let mut first = bytes;
        first.insert(0, 1);
        let _ = Evidence::decode(&first);
    }
}
