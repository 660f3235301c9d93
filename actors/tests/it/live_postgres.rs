//! The live group over the real log in Postgres, through a stop and a start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use trunkline_actors::BoardScope;
use trunkline_actors::live::{Engine, EngineOptions, Live};
use trunkline_core::access::Sight;
use trunkline_core::door;
use trunkline_core::instant::Millis;
use trunkline_core::record::Source;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::postgres::{Database, EmbeddedOptions, EmbeddedPostgres, migrate};

use crate::harness::*;

fn wall_clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Millis(since.as_millis() as i64)
}

async fn until(what: &str, live: &Live, holds: impl Fn(&Live) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds(live) {
        assert!(Instant::now() < deadline, "not reached: {what}; {:?}", live.completeness(TENANT));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn offered(live: &Live) -> (u64, u64) {
    let board = live.board(
        TENANT,
        &BoardScope {
            business: Some(SALES),
            ..BoardScope::whole(Sight::All)
        },
    );
    (board.offered.total, board.now.in_progress)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_follows_a_real_log_and_is_the_same_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = EmbeddedPostgres::start(&EmbeddedOptions {
        durable: false,
        ..EmbeddedOptions::new(data.path())
    })
    .await
    .unwrap();
    migrate(&server.options()).await.unwrap();
    let database = Database::connect(&server.options()).await.unwrap();
    let log: Arc<dyn EventLog> = Arc::new(PostgresLog::open(database, &LogOptions::default()).await.unwrap());
    let directory = watch::channel(Arc::new(directory())).0;

    let engine = Engine::start(Arc::clone(&log), directory.subscribe(), EngineOptions::default()).unwrap();
    let live = engine.live();
    until("caught up with an empty log", &live, |live| !live.completeness(TENANT).rebuilding).await;

    let at = wall_clock();
    for n in 0..60 {
        let id = format!("pg{n}");
        let mut bodies = vec![started(&id, "agent_sales", at), talked(&id, "agent_sales", at, 2)];
        if n % 3 == 0 {
            bodies.push(ended(&id, "agent_sales", at, 1_000, 4));
        }
        for body in bodies {
            let (routed, body) = door::route(Bytes::from(body.to_string()));
            let key = routed.key.clone();
            let record = door::record(routed, body, wall_clock(), TENANT, WORKSPACE, Source::Webhook);
            log.append(&key, record.encode()).await.unwrap();
        }
    }
    until("all calls on the board", &live, |live| offered(live) == (60, 40)).await;
    let completeness = live.completeness(TENANT);
    assert!(completeness.gaps.is_empty());
    assert!(completeness.lag_p95_ms.is_some());
    engine.stop().await;
    let committed: i64 = log.committed("live").await.unwrap().iter().map(|(_, next)| next).sum();
    assert_eq!(committed, 60 * 2 + 20, "the stop moved the group's offsets to the end");

    let engine = Engine::start(Arc::clone(&log), directory.subscribe(), EngineOptions::default()).unwrap();
    let live = engine.live();
    until("rebuilt", &live, |live| !live.completeness(TENANT).rebuilding).await;
    assert_eq!(offered(&live), (60, 40));
    engine.stop().await;
    log.close().await;
    server.close().await;
}
