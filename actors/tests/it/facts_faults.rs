//! The facts group when things break: ClickHouse away, answers lost, the process dying between two tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use trunkline_actors::FactsState;
use trunkline_core::access::Sight;
use trunkline_stores::clickhouse::{CallFilter, Turning};

use crate::facts_house::*;
use crate::memory_log::{MemoryLog, Port};

/// What the way to ClickHouse does.
#[derive(Default)]
struct Weather {
    /// Nothing gets through.
    away: AtomicBool,
    /// Every insert into the calls table is cut off before it arrives.
    no_calls: AtomicBool,
    /// Answers to so many inserts are lost after they were done.
    lost_answers: AtomicU32,
}

/// A way to the engine that can be broken; its address.
async fn way(weather: Arc<Weather>) -> String {
    let target = engine().url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, target.clone(), weather.clone()));
        }
    });
    url
}

async fn carry(mut client: TcpStream, target: String, weather: Arc<Weather>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut inserting = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let text = String::from_utf8_lossy(&up[..read]);
                inserting |= text.contains("insert_deduplication_token");
                let calls = text.contains("insert_deduplication_token=calls");
                if weather.away.load(Ordering::SeqCst) || (calls && weather.no_calls.load(Ordering::SeqCst)) {
                    return;
                }
                if server.write_all(&up[..read]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                let lose = |left: u32| left.checked_sub(1);
                if inserting && weather.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
                    return;
                }
                inserting = false;
                if client.write_all(&down[..read]).await.is_err() { return }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_away_means_waiting_and_nothing_is_lost() {
    let house = House::new("facts_away").await;
    let weather = Arc::new(Weather::default());
    weather.away.store(true, Ordering::SeqCst);
    let facts = house.start_at(&analytics_at(&way(weather.clone()).await, "facts_away"));
    for (at, body) in conversations(3, 10) {
        house.post(body, at).await;
    }
    let state = until("it has tried", &facts, |state| state.failures >= 2).await;
    assert!(state.waits_for.is_some());
    assert!(
        house.log.committed("facts").await.unwrap().iter().all(|(_, next)| *next == 0),
        "committed what is nowhere"
    );
    weather.away.store(false, Ordering::SeqCst);
    let state = house.written(&facts).await;
    assert_eq!(state.waits_for, None);
    house.agrees().await;
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_between_events_and_calls_leaves_no_trace() {
    let house = House::new("facts_crash").await;
    let weather = Arc::new(Weather::default());
    weather.no_calls.store(true, Ordering::SeqCst);
    let broken = analytics_at(&way(weather.clone()).await, "facts_crash");
    for (at, body) in conversations(4, 15) {
        house.post(body, at).await;
    }
    let facts = house.start_at(&broken);
    until("events are in, calls are not", &facts, |state| state.failures >= 1).await;
    assert!(!house.analytics.density(&house.options.log_name).await.unwrap().is_empty());
    let listed = house.analytics.calls_total(TENANT, &CallFilter::whole(Sight::All)).await.unwrap();
    assert_eq!(listed.calls, 0, "the way should be cut before the calls");
    // Dropped without stopping: the task dies where it stands.
    drop(facts);
    weather.no_calls.store(false, Ordering::SeqCst);
    for (at, body) in conversations(5, 15) {
        house.post(body, at).await;
    }
    let facts = house.start();
    house.written(&facts).await;
    house.agrees().await;
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_answer_is_lost_is_repeated_without_doubling() {
    let mut house = House::new("facts_lost_answers").await;
    house.options.linger = Duration::from_millis(20);
    let weather = Arc::new(Weather {
        lost_answers: AtomicU32::new(3),
        ..Weather::default()
    });
    let facts = house.start_at(&analytics_at(&way(weather.clone()).await, "facts_lost_answers"));
    for (at, body) in conversations(6, 15) {
        house.post(body, at).await;
    }
    house.written(&facts).await;
    assert_eq!(weather.lost_answers.load(Ordering::SeqCst), 0);
    house.agrees().await;
    facts.stop().await;
    house.close().await;
}

/// The next owner finds what was about to be written, and may know better where calls belong.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_partition_that_is_taken_away_while_they_are_tried_again_are_left_to_its_next_owner() {
    let house = House::new("facts_given_up").await;
    let memory = MemoryLog::new(2);
    for (at, body) in conversations(8, 20) {
        let (key, stored) = stored(body, at);
        memory.put(&key, stored);
    }
    let weather = Arc::new(Weather::default());
    weather.no_calls.store(true, Ordering::SeqCst);
    let broken = analytics_at(&way(weather.clone()).await, "facts_given_up");
    let facts = house.start_on(Arc::new(Port(memory.clone())), &broken);
    until("events are in, calls are not", &facts, |state| state.failures >= 1).await;
    memory.revoke(0);
    until("it knows", &facts, |state| !state.partitions.contains_key(&0)).await;
    weather.no_calls.store(false, Ordering::SeqCst);
    let kept = memory.records().into_iter().filter(|record| record.position.partition == 1).count() as i64;
    let done = |state: &FactsState| state.partitions.get(&1).is_some_and(|at| at.next == kept);
    until("the rest is written", &facts, done).await;
    let whole = CallFilter::whole(Sight::All);
    let listed = house.analytics.calls(TENANT, &whole, &Turning::First, 500).await.unwrap();
    let partitions: Vec<u32> = listed.calls.iter().map(|call| memory.partition_of(&call.call_id)).collect();
    assert!(
        !partitions.is_empty() && partitions.iter().all(|partition| *partition == 1),
        "{partitions:?}"
    );
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_whole_log_again_changes_nothing() {
    let mut house = House::new("facts_again").await;
    let facts = house.start();
    for (at, body) in conversations(7, 15) {
        house.post(body, at).await;
    }
    house.written(&facts).await;
    facts.stop().await;
    // Other boundaries, and the offsets of the group forgotten.
    house.options.batch_rows = 11;
    let mut member = house.log.subscribe("facts").await.unwrap();
    for _ in 0..house.log.partitions() {
        loop {
            if let trunkline_stores::log::Delivery::Assigned { partition, .. } = member.next().await.unwrap() {
                member.start(partition, 0).await.unwrap();
                member.commit(partition, 0).await.unwrap();
                break;
            }
        }
    }
    member.close().await;
    let facts = house.start();
    let state = house.written(&facts).await;
    assert_eq!(state.events_written, house.records().await.len() as u64);
    house.agrees().await;
    facts.stop().await;
    house.close().await;
}
