//! The life of calls: idle ones leave memory, late events find them, silent ones are closed, partitions come and go.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_actors::live::{CallLookup, EngineOptions, Lookup};
use trunkline_actors::{CallScope, Gap, Live};
use trunkline_core::access::Sight;
use trunkline_core::facts::CallState;
use trunkline_core::id::CallKey;
use trunkline_stores::log::Position;
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::directory::WorkspaceEntry;

use crate::harness::*;

fn sizes(live: &Live) -> (usize, usize) {
    live.partitions()
        .iter()
        .fold((0, 0), |(calls, residue), state| (calls + state.calls, residue + state.residue))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_call_leaves_memory_and_a_late_event_still_merges() {
    let house = House::build(2, EngineOptions::default());
    house.post(&started("late", "agent_sales", NOON));
    house.post(&ended("late", "agent_sales", NOON, 60_000, 4));
    house.settled();
    let before = figures(&house.board(Some(SALES)));
    assert_eq!(sizes(&house.live), (1, 0));

    house.advance(16 * MINUTE);
    house.until("call retired", |live| sizes(live) == (0, 1));
    assert!(house.live.call(&key("late"), &Sight::All).is_none(), "its transcript left memory");
    assert_eq!(
        house
            .live
            .role_states()
            .iter()
            .find(|role| role.role == "call_actor")
            .unwrap()
            .alive,
        0
    );
    let counts = |house: &House| house.board(Some(SALES)).offered.total;
    assert_eq!(counts(&house), 1, "its figures stay");

    house.post(&analyzed("late", "agent_sales", NOON, 60_000, 4));
    house.settled();
    assert_eq!(sizes(&house.live), (1, 0));
    let (call, _) = house.live.call(&key("late"), &Sight::All).expect("it woke");
    assert_eq!(call.facts.state, CallState::Ended);
    assert!(call.facts.analysed);
    assert_eq!(counts(&house), 1);
    assert_eq!(house.board(Some(SALES)).now.in_progress, 0, "it is not live again");
    assert_ne!(figures(&house.board(Some(SALES))), before, "the analysis counts");

    house.advance(27 * 60 * MINUTE);
    house.until("call forgotten", |live| sizes(live) == (0, 1) || sizes(live) == (0, 0));
    house.advance(27 * 60 * MINUTE);
    house.until("call forgotten at the horizon", |live| sizes(live) == (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_call_is_presumed_ended_in_the_log_and_a_real_event_corrects_it() {
    let house = House::build(2, EngineOptions::default());
    house.post(&started("mute", "agent_sales", NOON));
    house.settled();
    house.advance(16 * MINUTE);
    house.until("silence noticed", |live| live.completeness(TENANT).open_without_end == 1);
    assert_eq!(house.log.records().len(), 1, "nothing is closed before its time");

    house.advance(2 * 60 * MINUTE);
    house.until("presumed ended", |live| {
        live.call(&key("mute"), &Sight::All)
            .is_some_and(|(call, _)| call.facts.presumed_ended)
    });
    let (call, _) = house.live.call(&key("mute"), &Sight::All).unwrap();
    assert_eq!(call.facts.state, CallState::Ended);
    assert_eq!(house.board(Some(SALES)).now.in_progress, 0);
    assert_eq!(house.log.records().len(), 2, "the end is in the log, for every group");
    let decoded = trunkline_core::record::Record::decode(&house.log.records()[1].bytes).unwrap();
    assert_eq!(decoded.header.source, trunkline_core::record::Source::Reaper);

    // The call was not over after all.
    house.post(&talked("mute", "agent_sales", NOON, 5));
    house.settled();
    let (call, transcript) = house.live.call(&key("mute"), &Sight::All).unwrap();
    assert_eq!(
        (call.facts.state, call.facts.presumed_ended, transcript.len()),
        (CallState::Ongoing, false, 5)
    );
    assert_eq!(house.board(Some(SALES)).now.in_progress, 1);
}

struct Retell {
    answers: Mutex<Vec<Lookup>>,
    asked: Mutex<Vec<CallKey>>,
}

#[async_trait]
impl CallLookup for Retell {
    async fn look_up(&self, _: &WorkspaceEntry, key: &CallKey) -> Lookup {
        self.asked.lock().unwrap().push(key.clone());
        self.answers.lock().unwrap().pop().unwrap_or(Lookup::Unavailable)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reaper_asks_retell_first() {
    let end = Bytes::from(ended("asked", "agent_sales", NOON, 90_000, 4).to_string());
    let retell = Arc::new(Retell {
        answers: Mutex::new(vec![Lookup::Ended(vec![end]), Lookup::Running]),
        asked: Mutex::default(),
    });
    let lookup: Arc<dyn CallLookup> = retell.clone();
    let house = House::build(
        1,
        EngineOptions {
            lookup: Some(lookup),
            ..EngineOptions::default()
        },
    );
    let mut with_key: Directory = directory();
    let workspace = WorkspaceEntry {
        tenant: TENANT,
        workspace: WORKSPACE,
        name: "Main".into(),
        enabled: true,
        signing_keys: Vec::new(),
        allowed_sources: Vec::new(),
        rate_per_second: None,
        api_key: Some("key_of_a_test".to_owned().into()),
    };
    with_key.by_token.insert("token".into(), Arc::new(workspace));
    house.directory.send_replace(Arc::new(with_key));

    house.post(&started("asked", "agent_sales", NOON));
    house.settled();
    house.advance(121 * MINUTE);
    house.until("asked once", |_| retell.asked.lock().unwrap().len() == 1);
    house.settled();
    assert_eq!(
        house.live.call(&key("asked"), &Sight::All).unwrap().0.facts.state,
        CallState::Ongoing,
        "Retell says that it runs"
    );

    house.advance(121 * MINUTE);
    house.until("closed by what Retell says", |live| {
        live.call(&key("asked"), &Sight::All).unwrap().0.facts.state == CallState::Ended
    });
    let (call, _) = house.live.call(&key("asked"), &Sight::All).unwrap();
    assert!(!call.facts.presumed_ended);
    assert_eq!(call.facts.duration_ms, Some(90_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_silent_calls_are_not_closed_while_the_log_is_read_back() {
    let house = House::build(1, EngineOptions::default());
    house.post(&started("slow", "agent_sales", NOON));
    house.advance(90 * MINUTE);
    house.post(&talked("slow", "agent_sales", NOON, 3));
    house.settled();
    let log = house.stop().await;
    *log.now.lock().unwrap() = NOON.plus(100 * MINUTE);
    let again = House::over(log, EngineOptions::default());
    again.settled();
    for _ in 0..3 {
        again.advance(6_000);
        again.settled();
    }
    assert_eq!(again.log.records().len(), 2);
    assert_eq!(again.live.calls(TENANT, &CallScope::whole(Sight::All)).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_partition_takes_its_calls_and_figures_along() {
    let house = House::build(2, EngineOptions::default());
    let ids: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
    for id in &ids {
        house.post(&started(id, "agent_sales", NOON));
    }
    house.settled();
    let there = ids.iter().filter(|id| house.log.partition_of(id) == 0).count();
    assert!(there > 0 && there < 20, "calls stand in both partitions");
    house.log.revoke(0);
    house.until("its calls are gone", |live| {
        live.calls(TENANT, &CallScope::whole(Sight::All)).len() == 20 - there
    });
    assert_eq!(offered(&house, SALES), 20 - there as u64);
    assert_eq!(house.live.completeness(TENANT).assigned, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_says_up_to_when_it_is_complete() {
    let house = House::build(1, EngineOptions::default());
    house.settled();
    let now = house.live.now();
    assert!(house.live.completeness(TENANT).complete_to >= Some(now));

    house.log.away.store(true, std::sync::atomic::Ordering::Relaxed);
    house.until("noticed", |live| live.completeness(TENANT).log_away);
    let frozen = house.live.completeness(TENANT).complete_to;
    house.advance(60_000);
    let away = house.live.completeness(TENANT);
    assert_eq!(away.complete_to, frozen);
    assert!(away.lag_ms >= Some(60_000));

    house.log.away.store(false, std::sync::atomic::Ordering::Relaxed);
    house.until("back", |live| !live.completeness(TENANT).log_away);
    let lost = Position {
        partition: 0,
        offset: house.log.records().len() as i64,
    };
    house.log.lose(lost);
    assert_eq!(house.post(&started("g1", "agent_sales", NOON)), lost);
    house.post(&started("g2", "agent_sales", NOON));
    house.until("what follows the gap", |live| live.call(&key("g2"), &Sight::All).is_some());
    let gap = Gap {
        partition: 0,
        first: lost.offset,
        last: lost.offset,
    };
    assert_eq!(house.live.completeness(TENANT).gaps, [gap]);
    assert_eq!(house.board(None).gaps, 1, "the board says so");
}
