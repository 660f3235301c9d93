//! Figures: exact after duplicates, disorder, restarts and moves.

use std::sync::Arc;

use trunkline_actors::live::EngineOptions;
use trunkline_actors::{BoardScope, CallScope};
use trunkline_core::access::Sight;
use trunkline_core::call::Call;
use trunkline_core::event::{Reading, read};
use trunkline_core::metric::{Partial, Rules, Scope, Targets, View, Window, board, contribution};
use trunkline_core::record::{Record, Source};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_on_the_board_of_its_business_from_its_first_event_to_its_end() {
    let house = House::build(4, EngineOptions::default());
    house.post(&started("c1", "agent_sales", NOON));
    house.post(&talked("c1", "agent_sales", NOON, 2));
    house.settled();
    assert_eq!(house.board(Some(SALES)).now.in_progress, 1);
    assert_eq!(house.board(Some(HELP)).now.in_progress, 0);
    assert_eq!(house.board(None).now.in_progress, 1);
    let (call, transcript) = house.live.call(&key("c1"), &Sight::All).expect("it is in memory");
    assert_eq!((call.business, transcript.len()), (Some(SALES), 2));
    assert_eq!(house.live.calls(TENANT, &CallScope::whole(Sight::All)).len(), 1);

    house.post(&ended("c1", "agent_sales", NOON, 30_000, 4));
    house.settled();
    let board = house.board(Some(SALES));
    assert_eq!((board.now.in_progress, board.offered.total), (0, 1));
    assert_eq!(house.live.call(&key("c1"), &Sight::All).expect("it is in memory").1.len(), 4);
    assert_eq!(house.live.calls(TENANT, &CallScope::whole(Sight::All)).len(), 0);
    assert_eq!(
        house
            .live
            .calls(
                TENANT,
                &CallScope {
                    with_ended: true,
                    ..CallScope::whole(Sight::All)
                }
            )
            .len(),
        1
    );
    let other = trunkline_core::id::TenantId(uuid::Uuid::from_u128(2));
    assert_eq!(
        house.live.board(other, &BoardScope::whole(Sight::All)).offered.total,
        0,
        "another tenant sees nothing"
    );
}

/// 300 calls with four events each, every third event twice, in an order that a fixed sequence mixes up.
pub fn storm() -> Vec<serde_json::Value> {
    let mut bodies = Vec::new();
    for n in 0..300 {
        let id = format!("call_{n}");
        let agent = ["agent_sales", "agent_help", "agent_nobody"][n % 3];
        let at = NOON.plus(-(n as i64) * 20_000);
        bodies.push(started(&id, agent, at));
        bodies.push(talked(&id, agent, at, 3));
        if n % 4 != 0 {
            bodies.push(ended(&id, agent, at, 10_000 + n as i64, 6));
            bodies.push(analyzed(&id, agent, at, 10_000 + n as i64, 6));
        }
    }
    let repeated: Vec<_> = bodies.iter().step_by(3).cloned().collect();
    bodies.extend(repeated);
    let mut seed = 7u64;
    for place in (1..bodies.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bodies.swap(place, (seed >> 33) as usize % (place + 1));
    }
    bodies
}

/// The board that a plain fold of the whole log gives, without any actor.
fn plain_fold(house: &House, agents: &[&str]) -> Vec<(trunkline_core::metric::Metric, i64, i64)> {
    let mut calls = std::collections::HashMap::new();
    for stored in house.log.records() {
        let record = Record::decode(&stored.bytes).unwrap();
        let Reading::Event(event) = read(&record) else { continue };
        let call = calls
            .entry(event.key().clone())
            .or_insert_with(|| Call::new(event.key().clone(), WORKSPACE));
        call.apply(&event);
    }
    let mut partial = Partial::default();
    for call in calls.values() {
        let facts = call.facts();
        if agents.contains(&facts.owner_agent.as_deref().unwrap_or("none")) {
            partial.add(&contribution(&facts, &Rules::default()));
        }
    }
    let now = house.live.now();
    let view = View {
        scope: &Scope::default(),
        now,
        day_start: trunkline_core::instant::Millis(now.0 / 86_400_000 * 86_400_000),
        window: Window::Day,
        targets: &Targets::default(),
        rules: &Rules::default(),
        concurrency_limit: None,
        all_figures: true,
    };
    figures(&board(&[&partial], &view))
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_exact_after_repeats_and_disorder_and_equal_after_a_restart() {
    let house = House::build(6, EngineOptions::default());
    for body in storm() {
        house.advance(1);
        house.post(&body);
    }
    house.settled();
    for (business, agents) in [
        (None, &["agent_sales", "agent_help", "agent_nobody"][..]),
        (Some(SALES), &["agent_sales"][..]),
        (Some(UNASSIGNED), &["agent_nobody"][..]),
    ] {
        let board = house.board(business);
        assert_eq!(figures(&board), plain_fold(&house, agents));
        assert!(board.offered.total >= 100, "the board is not empty");
    }
    let before = figures(&house.board(None));
    assert!(house.live.completeness(TENANT).gaps.is_empty());

    let log = house.stop().await;
    let again = House::over(log, EngineOptions::default());
    again.settled();
    // Ages move with time; what a plain fold says at this moment is the measure, and counts are those of before.
    assert_eq!(
        figures(&again.board(None)),
        plain_fold(&again, &["agent_sales", "agent_help", "agent_nobody"])
    );
    let counts = |figures: &[(trunkline_core::metric::Metric, i64, i64)]| {
        use trunkline_core::metric::Metric;
        let wanted = [Metric::CallsOffered, Metric::CallsInProgress, Metric::AhtAi, Metric::SuccessRate];
        figures
            .iter()
            .filter(|(metric, ..)| wanted.contains(metric))
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&figures(&again.board(None))), counts(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn mapping_an_agent_moves_its_calls_to_its_business() {
    let house = House::build(3, EngineOptions::default());
    for n in 0..20 {
        house.post(&started(&format!("m{n}"), "agent_new", NOON));
    }
    house.settled();
    assert_eq!((offered(&house, UNASSIGNED), offered(&house, HELP)), (20, 0));

    let mut changed = directory();
    changed.agents.insert((TENANT, "agent_new".into()), HELP);
    changed.version = 2;
    house.directory.send_replace(Arc::new(changed));
    house.until("calls moved", |live| {
        live.calls(
            TENANT,
            &CallScope {
                business: Some(HELP),
                ..CallScope::whole(Sight::All)
            },
        )
        .len()
            == 20
    });
    assert_eq!((offered(&house, UNASSIGNED), offered(&house, HELP)), (0, 20));

    // What comes later for such a call follows it.
    house.post(&ended("m0", "agent_new", NOON, 5_000, 2));
    house.settled();
    assert_eq!((house.board(Some(HELP)).now.in_progress, offered(&house, HELP)), (19, 20));
    assert_eq!(house.board(Some(UNASSIGNED)).now.in_progress, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_only_what_changed_since_their_version() {
    let house = House::build(2, EngineOptions::default());
    house.post(&started("v1", "agent_sales", NOON));
    house.post(&started("v2", "agent_sales", NOON));
    house.settled();
    let all = house.live.changes(TENANT, &CallScope::whole(Sight::All), 0);
    assert!(all.whole);
    assert_eq!(all.calls.len(), 2);
    let none = house.live.changes(TENANT, &CallScope::whole(Sight::All), all.version);
    assert_eq!((none.whole, none.calls.len(), none.gone.len()), (false, 0, 0));

    house.post(&ended("v1", "agent_sales", NOON, 1_000, 2));
    house.post(&talked("v2", "agent_sales", NOON, 2));
    house.settled();
    let some = house.live.changes(TENANT, &CallScope::whole(Sight::All), all.version);
    assert!(!some.whole);
    assert_eq!(some.calls.iter().map(|call| &*call.facts.key.id).collect::<Vec<_>>(), ["v2"]);
    assert_eq!(some.gone, [key("v1")], "an ended call leaves the list of calls in progress");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_set_aside_and_named() {
    let house = House::build(1, EngineOptions::default());
    house.log.put("x", bytes::Bytes::from_static(b"not a record"));
    post_to(
        &house.log,
        &serde_json::json!({"event": "call_started", "call": {}}),
        NOON,
        Source::Webhook,
    );
    house.post(&started("ok", "agent_sales", NOON));
    house.settled();
    let notes = house.live.set_aside(None, 10);
    assert_eq!(
        notes.iter().map(|note| note.reason.as_str()).collect::<Vec<_>>(),
        ["no_id", "damaged"]
    );
    assert_eq!(house.live.set_aside(Some(TENANT), 10).len(), 1, "a damaged record is nobody's");
    assert_eq!(house.live.set_aside_counts(None).values().sum::<u64>(), 2);
    assert_eq!(offered(&house, SALES), 1);
}
