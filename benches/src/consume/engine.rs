//! The whole live group as it is served: readers, call and business actors, guardians, hub.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use trunkline_actors::{BoardScope, Engine, EngineOptions, Limits};
use trunkline_core::access::Sight;
use trunkline_core::metric::Window;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::KafkaLog;

use super::Done;
use crate::directory::{TENANT, directory};
use crate::{cpu, topic};

/// How often it is asked whether it has caught up.
const LOOK: Duration = Duration::from_millis(20);

/// Longest time to catch up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts the engine, waits until it has caught up with the topic, and stops it. Its CPU time counts from the start, joining included.
pub async fn run(brokers: &str, name: &str) -> Result<Done> {
    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::open(topic::options(brokers, name)).await.context("open the log")?);
    let mut events = 0;
    for partition in 0..log.partitions() {
        let (low, high) = log.span(partition).await?;
        events += (high - low).unsigned_abs();
    }
    let begun = cpu::used(std::process::id())?;
    let (_keep, directory) = watch::channel(Arc::new(directory()));
    let options = EngineOptions {
        group: format!("bench-{}", std::process::id()),
        limits: Limits::default(),
        ..EngineOptions::default()
    };
    let engine = Engine::start(log.clone(), directory, options)?;
    let live = engine.live();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = live.completeness_of_all();
        if !state.rebuilding && state.assigned == state.partitions {
            break;
        }
        ensure!(Instant::now() < deadline, "the engine has not caught up: {state:?}");
        sleep(LOOK).await;
    }
    let scope = BoardScope {
        window: Window::Minutes(25 * 60),
        ..BoardScope::whole(Sight::All)
    };
    let offered = live.board(TENANT, &scope).offered.total;
    let used = cpu::used(std::process::id())?.saturating_sub(begun);
    engine.stop().await;
    log.close().await;
    Ok(Done {
        events,
        cpu_ms: used.as_millis() as u64,
        offered: Some(offered),
    })
}
