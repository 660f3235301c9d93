//! Faults: what panics is quarantined, what dies is rebuilt, what overflows is held back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use trunkline_actors::live::{EngineOptions, Faults, Point};
use trunkline_actors::{CallScope, Health, Live};
use trunkline_core::access::Sight;
use trunkline_core::facts::CallState;
use trunkline_stores::log::Position;

use crate::harness::*;

fn faulty(probe: impl Fn(Point<'_>) + Send + Sync + 'static) -> EngineOptions {
    EngineOptions {
        faults: Some(Faults::new(probe)),
        ..EngineOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poisoned_event_is_set_aside_and_nobody_else_notices() {
    let house = House::build(
        1,
        faulty(|point| {
            if let Point::Apply(event) = point
                && event.name() == "transfer_started"
            {
                panic!("a fault for a test");
            }
        }),
    );
    for id in ["p1", "p2", "p3"] {
        house.post(&started(id, "agent_sales", NOON));
        house.post(&talked(id, "agent_sales", NOON, 2));
    }
    let poisoned = house.post(&serde_json::json!({"event": "transfer_started", "call": {"call_id": "p2", "agent_id": "agent_sales"}}));
    for id in ["p1", "p2", "p3"] {
        house.post(&ended(id, "agent_sales", NOON, 20_000, 6));
    }
    house.settled();
    for id in ["p1", "p2", "p3"] {
        let (call, transcript) = house.live.call(&key(id), &Sight::All).expect("the call lives");
        assert_eq!(
            (call.facts.state, transcript.len()),
            (CallState::Ended, 6),
            "{id} has all its other events"
        );
    }
    let notes = house.live.set_aside(Some(TENANT), 10);
    assert_eq!(notes.len(), 1);
    assert_eq!(
        (notes[0].position, notes[0].reason.as_str(), &*notes[0].event),
        (poisoned, "poisoned", "transfer_started")
    );
    assert_eq!(offered(&house, SALES), 3);
    assert!(house.live.completeness(TENANT).gaps.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_call_actor_is_rebuilt_from_its_records() {
    let deaths = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&deaths);
    let house = House::build(
        1,
        faulty(move |point| {
            if let Point::Handle(key) = point
                && &*key.id == "d1"
                && seen.fetch_add(1, Ordering::Relaxed) == 1
            {
                panic!("a fault for a test");
            }
        }),
    );
    house.post(&started("d1", "agent_sales", NOON));
    house.settled();
    house.post(&talked("d1", "agent_sales", NOON, 3));
    house.settled();
    assert_eq!(deaths.load(Ordering::Relaxed), 2, "the second message killed it");
    let (call, transcript) = house.live.call(&key("d1"), &Sight::All).unwrap();
    assert_eq!((call.facts.state, transcript.len()), (CallState::Ongoing, 3), "no event is missing");
    house.post(&ended("d1", "agent_sales", NOON, 9_000, 4));
    house.settled();
    assert_eq!(house.live.call(&key("d1"), &Sight::All).unwrap().0.facts.state, CallState::Ended);
    let role = house.live.role_states().into_iter().find(|role| role.role == "call_actor").unwrap();
    assert_eq!((role.alive, role.deaths, role.in_flight), (1, 1, 0));
    assert!(
        house.live.set_aside(None, 10).is_empty(),
        "a death outside of the step is nobody's event"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_dies_again_and_again_is_given_up_alone() {
    let house = House::build(
        1,
        faulty(|point| {
            if let Point::Handle(key) = point
                && &*key.id == "bad"
            {
                panic!("a fault for a test");
            }
        }),
    );
    for turn in 0..8 {
        house.post(&talked("bad", "agent_sales", NOON, turn + 1));
        house.post(&talked("good", "agent_sales", NOON, turn + 1));
        house.settled();
    }
    house.until("given up", |live| live.call(&key("bad"), &Sight::All).is_none());
    assert_eq!(house.live.call(&key("good"), &Sight::All).unwrap().1.len(), 8);
    assert_eq!(house.board(Some(SALES)).now.in_progress, 1);
    assert!(
        !house.live.set_aside(Some(TENANT), 10).is_empty(),
        "events of the call that was given up are listed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_business_actor_is_rebuilt_from_its_calls() {
    let folds = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&folds);
    let house = House::build(
        1,
        faulty(move |point| {
            if let Point::Fold(business) = point
                && business == SALES
                && seen.fetch_add(1, Ordering::Relaxed) == 2
            {
                panic!("a fault for a test");
            }
        }),
    );
    for n in 0..6 {
        house.post(&started(&format!("b{n}"), "agent_sales", NOON));
        house.post(&started(&format!("h{n}"), "agent_help", NOON));
        house.settled();
    }
    assert!(folds.load(Ordering::Relaxed) > 3);
    assert_eq!((offered(&house, SALES), offered(&house, HELP)), (6, 6));
    let role = house
        .live
        .role_states()
        .into_iter()
        .find(|role| role.role == "business_actor")
        .unwrap();
    assert_eq!((role.alive, role.deaths), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_reader_reads_its_partition_again() {
    let reads = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&reads);
    let house = House::build(
        2,
        faulty(move |point| {
            if let Point::Read(0) = point
                && seen.fetch_add(1, Ordering::Relaxed) == 1
            {
                panic!("a fault for a test");
            }
        }),
    );
    let ids: Vec<String> = (0..10).map(|n| format!("q{n}")).collect();
    for id in &ids {
        house.post(&started(id, "agent_sales", NOON));
        house.settled();
    }
    house.until("all are back", |live| {
        live.calls(TENANT, &CallScope::whole(Sight::All)).len() == ids.len()
    });
    assert_eq!(offered(&house, SALES), ids.len() as u64);
    let role = house
        .live
        .role_states()
        .into_iter()
        .find(|role| role.role == "log_reader/0")
        .unwrap();
    assert_eq!((role.deaths, role.health), (1, Health::Running));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_dies_five_times_in_a_minute_fails_loudly() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let mut options = faulty(|point| {
        if let Point::Read(_) = point {
            panic!("a fault for a test");
        }
    });
    options.on_failure = Some(Arc::new(move |role: &str| heard.lock().unwrap().push(role.to_owned())));
    let house = House::build(1, options);
    house.post(&started("x", "agent_sales", NOON));
    house.until("the process is told", |_| !told.lock().unwrap().is_empty());
    assert_eq!(*told.lock().unwrap(), ["log_reader/0"]);
    let role = house
        .live
        .role_states()
        .into_iter()
        .find(|role| role.role == "log_reader/0")
        .unwrap();
    assert_eq!((role.health, role.deaths), (Health::Failed, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_log_back_instead_of_filling_memory() {
    let applied = Arc::new(AtomicUsize::new(0));
    let (seen, gate) = (Arc::clone(&applied), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let open = Arc::clone(&gate);
    let house = House::build(
        1,
        faulty(move |point| match point {
            Point::Read(_) => {
                while !open.load(Ordering::Relaxed) {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
            Point::Apply(_) => {
                seen.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }),
    );
    for n in 0..12_000 {
        house.post(&started(&format!("w{}", n % 50), "agent_sales", NOON.plus(n)));
    }
    house.until("the partition is paused", |_| house.log.pauses.load(Ordering::Relaxed) > 0);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let delivered = house.log.delivered.load(Ordering::Relaxed);
    assert!(delivered < 4_096 + 400, "at most the limit and one delivery wait: {delivered}");
    gate.store(true, Ordering::Relaxed);
    house.settled();
    assert_eq!(applied.load(Ordering::Relaxed), 12_000, "everything comes in the end, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_subscriber_joins_again_and_the_board_is_right() {
    let house = House::build(3, EngineOptions::default());
    for n in 0..10 {
        house.post(&started(&format!("s{n}"), "agent_sales", NOON));
    }
    house.settled();
    house.log.trip.store(true, Ordering::Relaxed);
    let subscriber = |live: &Live| live.role_states().into_iter().find(|role| role.role == "subscriber").unwrap();
    house.until("it died", |live| subscriber(live).deaths == 1);
    house.post(&started("s10", "agent_sales", NOON));
    house.until("all calls are back", |live| {
        live.calls(TENANT, &CallScope::whole(Sight::All)).len() == 11
    });
    house.settled();
    assert_eq!(offered(&house, SALES), 11);
    assert_eq!(subscriber(&house.live).health, Health::Running);
    assert_eq!(house.live.completeness(TENANT).assigned, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_place_another_of_its_name_took_joins_again() {
    let house = House::build(3, EngineOptions::default());
    for n in 0..10 {
        house.post(&started(&format!("f{n}"), "agent_sales", NOON));
    }
    house.settled();
    house.log.fences.store(1, Ordering::Relaxed);
    house.until("it noticed", |_| house.log.fences.load(Ordering::Relaxed) == 0);
    house.post(&started("f10", "agent_sales", NOON));
    house.until("all calls are back", |live| {
        live.calls(TENANT, &CallScope::whole(Sight::All)).len() == 11
    });
    house.settled();
    assert_eq!(offered(&house, SALES), 11);
    let subscriber = house.live.role_states().into_iter().find(|role| role.role == "subscriber").unwrap();
    assert_eq!((subscriber.health, subscriber.deaths), (Health::Running, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_stays_as_it_is_while_its_partitions_come_back() {
    let shows_all = EngineOptions {
        follows: true,
        ..EngineOptions::default()
    };
    let house = House::build(2, shows_all);
    let ids: Vec<String> = (0..10).map(|n| format!("b{n}")).collect();
    let places: Vec<Position> = ids.iter().map(|id| house.post(&started(id, "agent_sales", NOON))).collect();
    house.settled();
    let calls = |live: &Live| live.calls(TENANT, &CallScope::whole(Sight::All)).len();
    // Its place in the group is lost, and the log does not answer when it has it back.
    house.log.away.store(true, Ordering::Relaxed);
    house.log.fences.store(1, Ordering::Relaxed);
    house.until("it noticed", |live| {
        let completeness = live.completeness(TENANT);
        completeness.log_away && completeness.rebuilding
    });
    house.advance(5_000);
    for _ in 0..50 {
        house.advance(1);
        tokio::time::sleep(Duration::from_millis(4)).await;
        assert_eq!((calls(&house.live), offered(&house, SALES)), (10, 10));
    }
    // What is not there any more goes when it is whole again.
    house.log.lose(places[3]);
    house.log.away.store(false, Ordering::Relaxed);
    house.until("whole again", |live| !live.completeness(TENANT).rebuilding);
    assert_eq!((calls(&house.live), offered(&house, SALES)), (9, 9));
    house.post(&started("b10", "agent_sales", NOON));
    house.until("the next call", |live| calls(live) == 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_of_one_name_do_not_go_on_for_ever() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let options = EngineOptions {
        on_failure: Some(Arc::new(move |role: &str| heard.lock().unwrap().push(role.to_owned()))),
        ..EngineOptions::default()
    };
    let house = House::build(1, options);
    house.log.fences.store(usize::MAX, Ordering::Relaxed);
    house.until("the process is told", |_| !told.lock().unwrap().is_empty());
    assert_eq!(*told.lock().unwrap(), ["subscriber"]);
    let subscriber = house.live.role_states().into_iter().find(|role| role.role == "subscriber").unwrap();
    assert_eq!(subscriber.health, Health::Failed);
    assert!(subscriber.note.unwrap().contains("kafka.member"));
}
