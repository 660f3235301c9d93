//! Any order, any repetition, any interleaving of the same stamped records: the same call (rule B3).

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use trunkline_core::call::Call;
use trunkline_core::event::Event;
use trunkline_core::facts::{CallFacts, Item};
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;

use crate::given::{NOW, blank, event};

const EVENTS: [&str; 9] = [
    "call_started",
    "transcript_updated",
    "transfer_started",
    "transfer_bridged",
    "transfer_cancelled",
    "call_ended",
    "call_analyzed",
    "transfer_ended",
    "call_paused",
];

/// Few values for each field, so that records meet, tie and disagree.
fn field() -> impl Strategy<Value = (&'static str, Value)> {
    let few = |values: Vec<Value>| prop::sample::select(values);
    let text = || few(vec![json!("a"), json!("b"), json!(""), json!(7), Value::Null]);
    let day = 86_400_000;
    let moment = || {
        few(vec![
            json!(1_793_541_600_000i64),
            json!(1_793_541_600),
            json!(NOW + day),
            json!(NOW + day + 1),
            json!(NOW + day + 3),
            json!("no"),
        ])
    };
    let map = || {
        few(vec![
            json!({"a": 1}),
            json!({"b": 2, "a": 3}),
            json!({"c": "x"}),
            json!({"a": null}),
            json!([]),
        ])
    };
    let lines = few(vec![
        json!("User: a"),
        json!("User: b"),
        json!("User: a\nAgent: b"),
        json!("User: a\nAgent: c"),
        json!("silence"),
        json!(""),
    ]);
    let items = few(vec![
        json!([{"role": "user", "content": "a", "words": [{"word": "a", "start": 1.5, "end": 2.0}]}]),
        json!([{"role": "agent", "content": "b", "words": []}, {"role": "tool_call_invocation", "name": "t", "arguments": "{}"}]),
        json!([{"role": "dtmf", "digit": "1"}]),
        json!([]),
    ]);
    let analysis = few(vec![
        json!({"call_summary": "s"}),
        json!({"user_sentiment": "Positive", "custom_analysis_data": {"a": 1}}),
        json!({"custom_analysis_data": {"b": 1}, "in_voicemail": true}),
        json!({"call_successful": 3}),
    ]);
    let cost = few(vec![
        json!({"combined_cost": 1}),
        json!({"combined_cost": 2, "product_costs": [{"product": "p", "cost": 2}]}),
        json!({"combined_cost": -1}),
    ]);
    prop_oneof![
        text().prop_map(|value| ("agent_id", value)),
        text().prop_map(|value| ("agent_name", value)),
        few(vec![json!(1), json!(2), json!(-1)]).prop_map(|value| ("agent_version", value)),
        few(vec![json!("phone_call"), json!("web_call"), json!("video")]).prop_map(|value| ("call_type", value)),
        few(vec![json!("ongoing"), json!("ended"), json!("registered")]).prop_map(|value| ("call_status", value)),
        few(vec![json!("user_hangup"), json!("dial_busy"), json!("odd")]).prop_map(|value| ("disconnection_reason", value)),
        moment().prop_map(|value| ("start_timestamp", value)),
        moment().prop_map(|value| ("end_timestamp", value)),
        few(vec![json!(5), json!(6), json!(-1)]).prop_map(|value| ("duration_ms", value)),
        map().prop_map(|value| ("metadata", value)),
        map().prop_map(|value| ("retell_llm_dynamic_variables", value)),
        lines.prop_map(|value| ("transcript", value)),
        items.prop_map(|value| ("transcript_with_tool_calls", value)),
        analysis.prop_map(|value| ("call_analysis", value)),
        cost.prop_map(|value| ("call_cost", value)),
        few(vec![json!({"e2e": {"values": [1]}}), json!({"llm": {"values": [2, 3]}})]).prop_map(|value| ("latency", value)),
    ]
}

fn body() -> impl Strategy<Value = Value> {
    let destination = prop::sample::select(vec![
        json!({"number": "+1"}),
        json!({"number": "+2", "extension": "9"}),
        Value::Null,
    ]);
    (
        prop::sample::select(EVENTS.to_vec()),
        prop::collection::vec(field(), 0..6),
        destination,
    )
        .prop_map(|(name, fields, destination)| {
            let mut call: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            call.insert("call_id".into(), json!("c"));
            let mut body = json!({"event": name, "call": call});
            if name.starts_with("transfer_") {
                body["transfer_destination"] = destination;
            }
            body
        })
}

/// Records of one call: bodies with the moments they were received at, close together, so that many tie.
pub(crate) fn records() -> impl Strategy<Value = Vec<(Value, i64)>> {
    prop::collection::vec(body(), 1..8).prop_flat_map(|bodies| {
        let count = bodies.len();
        prop::collection::vec((0..count, 0i64..6), 1..16)
            .prop_map(move |chosen| chosen.into_iter().map(|(place, at)| (bodies[place].clone(), at)).collect())
    })
}

type Seen = (CallFacts, Vec<Item>);

fn seen(call: &Call) -> Seen {
    (call.facts(), call.transcript().to_vec())
}

fn merged<'a>(events: impl IntoIterator<Item = &'a Event>) -> Call {
    let mut call = blank(Kind::Call, "c");
    for event in events {
        call.apply(event);
    }
    call
}

fn set_of(records: &[(Value, i64)]) -> Vec<Event> {
    records.iter().map(|(body, at)| event(body, *at)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn b3_any_order_and_any_repetition_give_the_same_call(records in records(), seed in prop::collection::vec(any::<prop::sample::Index>(), 40)) {
        let events = set_of(&records);
        let straight = seen(&merged(&events));
        let backwards = seen(&merged(events.iter().rev()));
        prop_assert_eq!(&straight, &backwards);
        // Every record once in another order, with others thrown in again in between.
        let mut order: Vec<usize> = (0..events.len()).collect();
        for (place, index) in seed.iter().enumerate().take(events.len()) {
            order.swap(place, index.index(events.len()));
        }
        let again = seed.iter().map(|index| index.index(events.len()));
        let shuffled = order.iter().zip(again).flat_map(|(one, other)| [*one, other, *one]);
        prop_assert_eq!(&straight, &seen(&merged(shuffled.map(|place| &events[place]))));
    }

    #[test]
    fn b3_a_record_read_twice_changes_nothing(records in records(), which in any::<prop::sample::Index>()) {
        let events = set_of(&records);
        let mut call = merged(&events);
        let before = seen(&call);
        let changes = call.apply(&events[which.index(events.len())]);
        prop_assert!(!changes.any());
        prop_assert_eq!(before, seen(&call));
    }

    #[test]
    fn b4_the_presumption_of_an_end_commutes_too(records in records(), at in 0i64..8, when in any::<prop::sample::Index>()) {
        let events = set_of(&records);
        let mut late = merged(&events);
        late.presume_ended(Millis(NOW + at));
        let mut early = blank(Kind::Call, "c");
        for (place, event) in events.iter().enumerate() {
            if place == when.index(events.len()) {
                early.presume_ended(Millis(NOW + at));
            }
            early.apply(event);
        }
        prop_assert_eq!(seen(&late), seen(&early));
    }

    #[test]
    fn compacting_in_between_changes_no_fact(records in records(), when in any::<prop::sample::Index>()) {
        let events = set_of(&records);
        let whole = merged(&events).facts();
        let mut call = blank(Kind::Call, "c");
        for (place, event) in events.iter().enumerate() {
            if place == when.index(events.len()) {
                call.compact();
            }
            call.apply(event);
        }
        prop_assert_eq!(whole, call.facts());
    }

    #[test]
    fn what_changes_says_is_what_changed(records in records()) {
        let mut call = blank(Kind::Call, "c");
        for event in set_of(&records) {
            let (facts, items) = seen(&call);
            let changes = call.apply(&event);
            let (new_facts, new_items) = seen(&call);
            prop_assert!(changes.any() || facts == new_facts);
            prop_assert_eq!(changes.state && !changes.created, facts.state != new_facts.state && !changes.created);
            prop_assert!(changes.transcript || items == new_items);
        }
    }

    /// The law itself, written without the shelves: for every plain field the value of the highest rank, then latest stamp.
    #[test]
    fn b3_the_merge_agrees_with_its_rule_written_plainly(records in records()) {
        let events = set_of(&records);
        let facts = merged(&events).facts();
        // One record for each content: the earliest.
        let mut distinct: Vec<&(Value, i64)> = Vec::new();
        let mut sorted: Vec<(usize, &(Value, i64))> = records.iter().enumerate().collect();
        sorted.sort_by_key(|(place, _)| *events[*place].stamp());
        let mut contents = Vec::new();
        for (place, record) in sorted {
            if !contents.contains(&events[place].stamp().content) {
                contents.push(events[place].stamp().content);
                distinct.push(record);
            }
        }
        let rank = |body: &Value| match body["event"].as_str().unwrap() {
            "call_started" => 1, "transcript_updated" => 2, "call_ended" => 4, "call_analyzed" => 5, "transfer_ended" => 6, "call_paused" => 0, _ => 3,
        };
        let winner = |name: &str| {
            let mut best: Option<(i32, usize, &Value)> = None;
            for (place, (body, _)) in distinct.iter().enumerate() {
                let value = &body["call"][name];
                let usable = value.as_str().is_some_and(|text| !text.is_empty());
                if rank(body) > 0 && usable && best.is_none_or(|(known, at, _)| (rank(body), place) > (known, at)) {
                    best = Some((rank(body), place, value));
                }
            }
            best.map(|(_, _, value)| value.as_str().unwrap().to_owned())
        };
        prop_assert_eq!(facts.agent_id.as_deref().map(str::to_owned), winner("agent_id"));
        prop_assert_eq!(facts.agent_name.as_deref().map(str::to_owned), winner("agent_name"));
        prop_assert_eq!(facts.status_raw.as_deref().map(str::to_owned), winner("call_status"));
        prop_assert_eq!(facts.reason.as_deref().map(str::to_owned), winner("disconnection_reason"));
    }
}
