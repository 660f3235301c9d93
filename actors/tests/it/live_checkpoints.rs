//! Checkpoints: a restart has everything again that a reading of the whole log has, wherever the process died, and reads the tail only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::json;
use trunkline_actors::live::{EngineOptions, Faults, Limits, Live, Point};
use trunkline_actors::{BoardScope, CallScope};
use trunkline_core::access::Sight;
use trunkline_core::facts::{CallFacts, CallState, Item};
use trunkline_core::id::BusinessId;
use trunkline_core::metric::Board;
use trunkline_core::metric::Rules;

use crate::harness::*;
use crate::live_figures::storm;
use crate::memory_log::MemoryLog;

const EVERY_MS: i64 = 400;

fn keeping() -> EngineOptions {
    EngineOptions {
        limits: Limits {
            checkpoint_ms: Some(EVERY_MS),
            ..Limits::default()
        },
        ..EngineOptions::default()
    }
}

const TOPIC: &str = "live.checkpoints";

/// Everything that can be seen of an engine but the ages of its parts.
type Seen = (Vec<Board>, BTreeMap<String, (Option<BusinessId>, CallFacts, Vec<Item>)>, String);

fn seen(live: &Live) -> Seen {
    let mut boards = Vec::new();
    for business in [None, Some(SALES), Some(HELP), Some(UNASSIGNED)] {
        for agent in [None, Some("agent_sales"), Some("agent_nobody")] {
            let board = live.board(
                TENANT,
                &BoardScope {
                    business,
                    agent: agent.map(str::to_owned),
                    all_figures: true,
                    ..BoardScope::whole(Sight::All)
                },
            );
            boards.push((*board).clone());
        }
    }
    let scope = CallScope {
        with_ended: true,
        ..CallScope::whole(Sight::All)
    };
    let mut calls = BTreeMap::new();
    for call in live.calls(TENANT, &scope) {
        if let Some((_, items)) = live.call(&call.facts.key, &Sight::All) {
            calls.insert(
                call.facts.key.id.to_string(),
                (call.business, (*call.facts).clone(), items.to_vec()),
            );
        }
    }
    let completeness = live.completeness(TENANT);
    let notes: Vec<_> = live.set_aside(Some(TENANT), 100).iter().map(|note| note.position).collect();
    let rest = format!(
        "{:?} {:?} {:?} {notes:?}",
        completeness.set_aside, completeness.gaps, completeness.presumed_ended
    );
    (boards, calls, rest)
}

/// Compares everything with an engine that reads the whole log, at the same moment.
#[track_caller]
fn assert_whole(house: &House) {
    let plain = House::over(Arc::clone(&house.log), EngineOptions::default());
    plain.settled();
    house.settled();
    // Both sweep, so that what is over has left both.
    for each in [house, &plain] {
        let to = house.clock.now().max(plain.clock.now()).plus(20_000);
        each.hand.set(to);
    }
    plain.until("everything is seen the same", |live| {
        let to = house.clock.now().max(live.now()).plus(1_001);
        house.hand.set(to);
        plain.hand.set(to);
        let (is, should) = (seen(&house.live), seen(live));
        let same = is == should;
        if !same && std::env::var_os("SHOW").is_some() {
            show(&is, &should);
        }
        same
    });
}

fn show(is: &Seen, should: &Seen) {
    for (is, should) in is.0.iter().zip(&should.0).filter(|(is, should)| is != should) {
        println!("board {}\nshould {}", json!(is), json!(should));
    }
    for (id, should) in &should.1 {
        if is.1.get(id) != Some(should) {
            println!("call {id} {:?}\nshould {should:?}", is.1.get(id));
        }
    }
    println!("rest {}\nshould {}; calls {} {}", is.2, should.2, is.1.len(), should.1.len());
}

/// Lets time pass until everything is in a checkpoint.
#[track_caller]
fn kept(house: &House) {
    house.advance(EVERY_MS);
    house.until("everything is in a checkpoint", is_kept);
}

/// Every partition has a checkpoint of all that is in it.
fn is_kept(live: &Live) -> bool {
    let kept = |state: &trunkline_actors::PartitionState| state.checkpoint.map_or(0, |checkpoint| checkpoint.next) == state.next;
    live.partitions().iter().all(kept)
}

fn restored(live: &Live) -> (usize, i64) {
    let rebuilds: Vec<_> = live.partitions().into_iter().filter_map(|state| state.rebuild).collect();
    assert!(rebuilds.iter().all(|rebuild| rebuild.from_checkpoint), "{rebuilds:?}");
    (
        rebuilds.iter().map(|rebuild| rebuild.restored).sum(),
        rebuilds.iter().map(|rebuild| rebuild.replayed).sum(),
    )
}

fn post_garbage(house: &House, id: &str) {
    house.post(&json!({"event": "call_started", "call": {"call_id": ""}}));
    house.post(&json!({"event": "call_paused", "call": {"call_id": id, "agent_id": "agent_sales"}}));
    house.log.put(id, Bytes::from_static(b"no record"));
}

fn post_transfer(house: &House, id: &str) {
    for event in ["transfer_started", "transfer_bridged"] {
        house.post(
            &json!({"event": event, "call": {"call_id": id, "agent_id": "agent_sales", "agent_name": "Sally"},
            "transfer_destination": {"number": "+12025550199"}}),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_everything_is_there_again_and_nothing_is_read_twice() {
    let house = House::build(3, keeping());
    for body in storm() {
        house.advance(1);
        house.post(&body);
    }
    post_garbage(&house, "call_7");
    post_transfer(&house, "call_8");
    house.settled();
    let log = house.stop().await;
    let again = House::over(log, keeping());
    again.settled();
    assert_eq!(restored(&again.live), (300, 0), "all calls from the checkpoint, no record after it");
    assert_whole(&again);
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_checkpoint_is_torn_the_answer_is_that_of_the_whole_log() {
    for cut in [0, 1, 40, 129, 200, 333, 2_000] {
        let house = House::build(2, keeping());
        let bodies = storm();
        let (first, rest) = bodies.split_at(bodies.len() / 2);
        let (second, third) = rest.split_at(rest.len() - 60);
        for body in first {
            house.advance(1);
            house.post(body);
        }
        post_garbage(&house, "call_3");
        house.settled();
        kept(&house);
        // Some end and leave memory; late events bring them back.
        house.advance(16 * MINUTE);
        house.advance(5_000);
        house.until("swept", |live| live.partitions().iter().any(|state| state.residue > 0));
        let topic = house.log.topic(TOPIC);
        topic.die_after(cut);
        for body in second {
            house.advance(7);
            house.post(body);
        }
        post_garbage(&house, "call_5");
        post_transfer(&house, "call_8");
        house.settled();
        house.advance(EVERY_MS);
        house.until("dead, or done", |live| topic.is_dead() || is_kept(live));
        topic.die_after(0);
        let log = house.stop().await;
        topic.revive();
        let again = House::over(log, keeping());
        for body in third {
            again.advance(3);
            again.post(body);
        }
        again.settled();
        restored(&again.live);
        assert_whole(&again);
        // And what is kept from now on is whole too.
        kept(&again);
        let log = again.stop().await;
        let third = House::over(log, keeping());
        third.settled();
        assert_eq!(restored(&third.live).1, 0, "cut at {cut}");
        assert_whole(&third);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_costs_what_changed() {
    let house = House::build(1, keeping());
    for n in 0..400 {
        house.post(&started(&format!("c{n}"), "agent_sales", NOON));
        house.post(&talked(&format!("c{n}"), "agent_sales", NOON, 400));
    }
    house.settled();
    kept(&house);
    let all = house.live.partitions()[0].checkpoint.unwrap();
    assert_eq!(all.calls, 400);
    house.post(&talked("c7", "agent_sales", NOON, 401));
    house.settled();
    kept(&house);
    let one = house.live.partitions()[0].checkpoint.unwrap();
    assert_eq!((one.calls, one.records), (400, 2), "the call and the marker");
    assert!(one.bytes < 1_000, "{} bytes for a turn in a call of 401 turns", one.bytes);
    let written = house.log.topic(TOPIC).written.load(Ordering::SeqCst);
    house.advance(60_000);
    house.until("time has passed", |live| live.now() > NOON.plus(60_500));
    assert_eq!(
        house.log.topic(TOPIC).written.load(Ordering::SeqCst),
        written,
        "nothing happened, nothing is written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_restored_calls_come_back_and_grow_on() {
    let house = House::build(1, keeping());
    for n in 0..30 {
        let id = format!("w{n}");
        house.post(&started(&id, "agent_sales", NOON));
        house.post(&talked(&id, "agent_sales", NOON, 5));
        // The last record of a call need not be the one with the words.
        post_transfer(&house, &id);
    }
    house.settled();
    let log = house.stop().await;
    let again = House::over(log, keeping());
    again.settled();
    assert_eq!(restored(&again.live), (30, 0));
    again.until("words", |live| {
        (0..30).all(|n| live.call(&key(&format!("w{n}")), &Sight::All).unwrap().1.len() == 5)
    });
    again.post(&talked("w3", "agent_sales", NOON, 6));
    again.settled();
    assert_eq!(again.live.call(&key("w3"), &Sight::All).unwrap().1.len(), 6);
    assert_whole(&again);
}

#[tokio::test(flavor = "multi_thread")]
async fn s133_what_cannot_be_read_is_refused_and_the_log_is_read_instead() {
    type Bend = fn(u32, &[u8], &mut Vec<u8>);
    let bent: [(&str, Bend); 3] = [
        ("a call", |_, key, value| {
            if key.ends_with(b"call_9") {
                value[20] ^= 1;
            }
        }),
        ("the marker", |_, key, value| {
            if key == b"m" {
                value.truncate(7);
            }
        }),
        ("another version", |_, key, value| {
            if key == b"m" {
                value[0] = 200;
            }
        }),
    ];
    for (what, bend) in bent {
        let house = House::build(1, keeping());
        for body in storm() {
            house.advance(1);
            house.post(&body);
        }
        house.settled();
        let log = house.stop().await;
        log.topic(TOPIC).bend(bend);
        let again = House::over(log, keeping());
        again.settled();
        let rebuild = again.live.partitions()[0].rebuild.unwrap();
        assert!(!rebuild.from_checkpoint && rebuild.replayed > 1_000, "{what}: {rebuild:?}");
        assert_whole(&again);
        kept(&again);
        let log = again.stop().await;
        let third = House::over(log, keeping());
        third.settled();
        restored(&third.live);
        assert_whole(&third);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_and_another_log_do_not_get_the_figures_of_these() {
    let house = House::build(1, keeping());
    for body in storm() {
        house.advance(1);
        house.post(&body);
    }
    house.settled();
    let log = house.stop().await;
    let other = EngineOptions {
        rules: Rules {
            version: 2,
            short_abandon_ms: 11_000,
            ..Rules::default()
        },
        ..keeping()
    };
    let again = House::over(Arc::clone(&log), other);
    again.settled();
    assert!(!again.live.partitions()[0].rebuild.unwrap().from_checkpoint);
    again.stop().await;
    // A log that ends before the checkpoint is not the log it was taken of.
    let shorter = MemoryLog::new(1);
    *shorter.now.lock().unwrap() = *log.now.lock().unwrap();
    *shorter.topics.lock().unwrap() = log.topics.lock().unwrap().clone();
    let fresh = House::over(shorter, keeping());
    fresh.post(&started("only", "agent_sales", NOON));
    fresh.settled();
    assert!(!fresh.live.partitions()[0].rebuild.unwrap().from_checkpoint);
    assert_eq!(offered(&fresh, SALES), 1);
    kept(&fresh);
    assert_eq!(
        fresh.log.topic(TOPIC).of(0).len(),
        2,
        "nothing of the other log is left: the call and the marker"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_owner_writes_nothing_more() {
    let house = House::build(1, keeping());
    house.post(&started("s1", "agent_sales", NOON));
    house.settled();
    kept(&house);
    // Another process takes the partition over; this one has not heard of it yet.
    let other = House::over(Arc::clone(&house.log), keeping());
    other.settled();
    other.post(&ended("s1", "agent_sales", NOON, 5_000, 2));
    other.settled();
    kept(&other);
    let before = house.log.topic(TOPIC).of(0);
    house.settled();
    house.advance(5 * EVERY_MS);
    house.until("time has passed", |live| live.now() > NOON.plus(6 * EVERY_MS));
    let log = house.stop().await;
    assert_eq!(log.topic(TOPIC).of(0), before);
    assert_whole(&other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_of_a_stale_owner_closes_nothing() {
    let house = House::build(1, keeping());
    for n in 0..10 {
        house.post(&started(&format!("m{n}"), "agent_sales", NOON));
    }
    house.settled();
    kept(&house);
    let log = house.stop().await;
    // The owner after it found no marker and removed what there was; then this one woke up and wrote it.
    log.topic(TOPIC).remove_all_but(b"m");
    *log.topic(TOPIC).late.lock().unwrap() = Some(b"m".to_vec());
    let again = House::over(Arc::clone(&log), keeping());
    again.settled();
    let rebuild = again.live.partitions()[0].rebuild.unwrap();
    assert!(!rebuild.from_checkpoint && rebuild.replayed == 10, "{rebuild:?}");
    assert_whole(&again);
}

#[tokio::test(flavor = "multi_thread")]
async fn poisoned_calls_are_built_from_their_records_and_noted_once() {
    let faulty = || EngineOptions {
        faults: Some(Faults::new(|point| {
            if let Point::Apply(event) = point
                && event.name() == "transfer_started"
            {
                panic!("a fault for a test");
            }
        })),
        ..keeping()
    };
    let house = House::build(1, faulty());
    for id in ["p1", "p2"] {
        house.post(&started(id, "agent_sales", NOON));
        house.post(&talked(id, "agent_sales", NOON, 2));
    }
    post_transfer(&house, "p1");
    house.settled();
    kept(&house);
    assert_eq!(house.live.set_aside(Some(TENANT), 10).len(), 1);
    let log = house.stop().await;
    let again = House::over(log, faulty());
    again.settled();
    assert_eq!(restored(&again.live), (2, 0));
    assert_eq!(
        again.live.set_aside(Some(TENANT), 10).len(),
        1,
        "noted before the restart, and not again"
    );
    again.post(&ended("p1", "agent_sales", NOON, 9_000, 4));
    again.settled();
    assert_eq!(again.live.call(&key("p1"), &Sight::All).unwrap().0.facts.state, CallState::Ended);
    let plain = House::over(Arc::clone(&again.log), EngineOptions { ..faulty() });
    plain.settled();
    assert_eq!(offered(&plain, SALES), offered(&again, SALES));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_horizon_leave_the_checkpoint_too() {
    let house = House::build(1, keeping());
    for n in 0..20 {
        house.post(&started(&format!("o{n}"), "agent_sales", NOON));
        house.post(&ended(&format!("o{n}"), "agent_sales", NOON, 1_000, 2));
    }
    house.settled();
    kept(&house);
    assert_eq!(house.log.topic(TOPIC).of(0).len(), 21);
    for n in 0..30 {
        house.advance(60 * MINUTE);
        let id = format!("later{n}");
        house.post(&started(&id, "agent_sales", house.clock.now()));
        house.post(&ended(&id, "agent_sales", house.clock.now(), 1_000, 2));
        house.settled();
    }
    house.advance(5_000);
    house.until("forgotten", |live| live.partitions()[0].residue < 30);
    kept(&house);
    house.advance(EVERY_MS);
    let in_memory = |live: &Live| live.partitions()[0].calls + live.partitions()[0].residue;
    house.until("forgotten there too", |live| {
        house.log.topic(TOPIC).of(0).len() == in_memory(live) + 1
    });
    let calls = in_memory(&house.live);
    assert!((26..29).contains(&calls), "{calls} calls in memory");
    assert_whole(&house);
}
