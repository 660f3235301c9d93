//! Real calls growing event by event: the figures end where one look at the finished call would put them, in any order of delivery.

use proptest::prelude::*;
use serde_json::json;
use trunkline_core::call::Call;
use trunkline_core::facts::CallState;
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;
use trunkline_core::metric::*;

use crate::given;

/// The records of one inbound call with a transfer that bridged: bodies in the order in which they happened.
fn story() -> Vec<serde_json::Value> {
    let start = given::NOW - 600_000;
    let call = |fields: serde_json::Value| {
        let mut call = json!({
            "call_type": "phone_call", "call_id": "call_growing", "agent_id": "agent_a", "direction": "inbound",
            "from_number": "+15550100", "to_number": "+15550199", "start_timestamp": start, "call_status": "ongoing"
        });
        call.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        call
    };
    let turn =
        |role: &str, word: &str, at: f64| json!({"role": role, "content": word, "words": [{"word": word, "start": at, "end": at + 0.4}]});
    let hello = turn("agent", "Hello", 0.9);
    let please = turn("user", "Reception please", 3.0);
    let said = json!([hello, please]);
    let over = json!({
        "call_status": "ended", "end_timestamp": start + 90_000, "duration_ms": 90_000, "disconnection_reason": "call_transfer",
        "transcript_object": said, "latency": {"e2e": {"values": [700, 910.5], "num": 2}},
        "call_cost": {"combined_cost": 12.25, "total_duration_seconds": 90}
    });
    let mut analysed = over.clone();
    analysed["call_analysis"] = json!({"call_successful": true, "user_sentiment": "Positive", "call_summary": "Passed on."});
    let to = json!({"type": "phone", "number": "+15550123"});
    vec![
        json!({"event": "call_started", "call": call(json!({}))}),
        json!({"event": "transcript_updated", "call": call(json!({"transcript_object": [hello]}))}),
        json!({"event": "transcript_updated", "call": call(json!({"transcript_object": said}))}),
        json!({"event": "transfer_started", "call": call(json!({})), "transfer_destination": to}),
        json!({"event": "transfer_bridged", "call": call(json!({})), "transfer_destination": to}),
        json!({"event": "call_ended", "call": call(over)}),
        json!({"event": "call_analyzed", "call": call(analysed)}),
    ]
}

fn blank() -> Call {
    given::blank(Kind::Call, "call_growing")
}

fn read(call: &Call) -> Contribution {
    contribution(&call.facts(), &Rules::default())
}

fn board_of(sums: &Partial) -> Board {
    let view = View {
        scope: &Scope::default(),
        now: Millis(given::NOW + 60_000),
        day_start: Millis(given::NOW - 3_600_000),
        window: Window::Day,
        targets: &Targets::default(),
        rules: &Rules::default(),
        concurrency_limit: None,
        all_figures: true,
    };
    board(&[sums], &view)
}

proptest! {
    #[test]
    fn a_call_counts_the_same_in_whatever_order_its_events_come(order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle()) {
        let bodies = story();
        let mut call = blank();
        let mut sums = Partial::default();
        let mut held: Option<Contribution> = None;
        for at in order {
            // An event is received when it happened plus 2 s per place, whenever it is read.
            call.apply(&given::event(&bodies[at], at as i64 * 2_000));
            let new = read(&call);
            match held.take() {
                Some(old) => _ = sums.replace(&old, &new),
                None => sums.add(&new),
            }
            held = Some(new);
        }
        let mut once = blank();
        for (at, body) in bodies.iter().enumerate() {
            once.apply(&given::event(body, at as i64 * 2_000));
        }
        let mut fresh = Partial::default();
        fresh.add(&read(&once));
        prop_assert_eq!(&sums, &fresh);
    }
}

#[test]
fn a_finished_call_is_on_the_board_as_it_happened() {
    let mut call = blank();
    for (at, body) in story().iter().enumerate() {
        call.apply(&given::event(body, at as i64 * 2_000));
    }
    assert_eq!(call.state(), CallState::Ended);
    let mut sums = Partial::default();
    sums.add(&read(&call));
    let board = board_of(&sums);
    let value = |metric: Metric| board.figures[metric.index()].value;
    assert_eq!(board.now.in_progress, 0);
    assert_eq!(value(Metric::CallsAnswered), Some(1.0));
    assert_eq!(value(Metric::ServiceLevelAi), Some(1.0));
    assert_eq!(value(Metric::AsaAi), Some(900.0));
    assert_eq!(value(Metric::AsaHuman), Some(2_000.0));
    assert_eq!(value(Metric::TransferSuccess), Some(1.0));
    assert_eq!(value(Metric::Containment), Some(0.0));
    assert_eq!(value(Metric::SuccessRate), Some(1.0));
    assert_eq!(value(Metric::SentimentNegative), Some(0.0));
    assert_eq!(value(Metric::Cost), Some(12.25));
    assert_eq!(value(Metric::AhtAi), Some(90_000.0));
    assert_eq!(value(Metric::AhtCall), None, "the transferred leg is still going");
    assert_eq!(board.now.by_state.with_person, 1);
    assert_eq!(board.figures[Metric::LatencyE2e.index()].den, 2);
    assert_eq!(board.figures[Metric::AnalysisDelay.index()].num, 2_000_000);
}

/// Every sample of Retell's bodies can be counted and taken back.
#[test]
fn every_sample_counts_and_leaves_without_a_trace() {
    let mut sums = Partial::default();
    let mut counted = Vec::new();
    for entry in std::fs::read_dir(given::payloads()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let record = given::record_of(std::fs::read(&path).unwrap(), 0);
        let trunkline_core::event::Reading::Event(event) = trunkline_core::event::read(&record) else {
            continue;
        };
        let mut call = Call::new(event.key().clone(), event.workspace());
        call.apply(&event);
        let contribution = read(&call);
        sums.add(&contribution);
        counted.push(contribution);
    }
    assert!(counted.len() > 40, "only {} samples are events", counted.len());
    assert!(!sums.is_empty());
    counted.iter().for_each(|contribution| sums.subtract(contribution));
    assert_eq!(sums, Partial::default());
}
