//! One run as a process: the live group and the facts group as they are served, over a log that is filled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use secrecy::SecretString;
use tokio::sync::watch;
use trunkline_actors::{BoardScope, Engine, EngineOptions, Facts, FactsOptions, Limits, Roles};
use trunkline_core::access::Sight;
use trunkline_core::metric::Window;
use trunkline_stores::clickhouse::{Analytics, AnalyticsOptions};
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::KafkaLog;

use super::Done;
use super::unguarded::OfRun;
use crate::chaos::{CLICKHOUSE_USER, PASSWORD};
use crate::directory::{TENANT, directory};
use crate::{cpu, topic};

const ROWS: &str = include_str!("rows.sql");

/// How often it is asked whether both groups are at the end.
const LOOK: Duration = Duration::from_millis(20);

/// As `live.checkpoint_seconds` is by default.
const CHECKPOINT_MS: i64 = 5_000;

/// Longest time to come there.
const PATIENCE: Duration = Duration::from_secs(600);

/// `guarded-node`: the process under test.
#[derive(Debug, Args)]
pub struct GuardedNode {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    topic: String,
    /// Address of ClickHouse.
    #[arg(long)]
    clickhouse: String,
    /// Without checkpoints and without intents.
    #[arg(long)]
    without: bool,
}

impl GuardedNode {
    /// Reads to the end and prints [`Done`] as JSON.
    pub async fn run(self) -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let run = format!("run{}", uuid::Uuid::new_v4().simple());
        let inner = Arc::new(
            KafkaLog::open(topic::options(&self.brokers, &self.topic))
                .await
                .context("open the log")?,
        );
        let log: Arc<dyn EventLog> = Arc::new(OfRun {
            inner,
            run: run.clone(),
            intents: !self.without,
        });
        let mut events = 0;
        for partition in 0..log.partitions() {
            let (low, high) = log.span(partition).await?;
            events += high - low;
        }
        let password = std::env::var(PASSWORD).context("find ClickHouse's password")?;
        let options = AnalyticsOptions::new(
            self.clickhouse.clone(),
            CLICKHOUSE_USER.to_owned(),
            SecretString::from(password.clone()),
            run.clone(),
        );
        let analytics = Analytics::connect(options)?;
        analytics.migrate().await?;
        let (_keep, directory) = watch::channel(Arc::new(directory()));
        let options = EngineOptions {
            limits: Limits {
                checkpoint_ms: (!self.without).then_some(CHECKPOINT_MS),
                ..Limits::default()
            },
            ..EngineOptions::default()
        };

        let (begun, used) = (Instant::now(), cpu::used(std::process::id())?);
        let engine = Engine::start(log.clone(), directory.clone(), options)?;
        let facts = Facts::start(
            log.clone(),
            Arc::new(analytics),
            directory,
            &Roles::default(),
            FactsOptions::new(run.as_str()),
        );
        let live = engine.live();
        loop {
            let state = live.completeness_of_all();
            let is_right = !state.rebuilding && state.assigned == state.partitions;
            if is_right && facts.state().events_written >= events.unsigned_abs() {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "not at the end: {state:?}, {:?}", facts.state());
            tokio::time::sleep(LOOK).await;
        }
        let wall = begun.elapsed();
        let used = cpu::used(std::process::id())?.saturating_sub(used);
        let scope = BoardScope {
            window: Window::Minutes(25 * 60),
            ..BoardScope::whole(Sight::All)
        };
        let offered = live.board(TENANT, &scope).offered.total;
        facts.stop().await;
        engine.stop().await;
        let rows = rows(&self.clickhouse, &password, &run).await?;
        log.close().await;
        let done = Done {
            events: events.unsigned_abs(),
            offered,
            rows,
            cpu_ms: used.as_millis() as u64,
            wall_ms: wall.as_millis() as u64,
        };
        println!("{}", serde_json::to_string(&done)?);
        Ok(())
    }
}

async fn rows(url: &str, password: &str, database: &str) -> Result<u64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client
        .post(format!("{url}/?database={database}"))
        .basic_auth(CLICKHOUSE_USER, Some(password))
        .body(ROWS)
        .send()
        .await?
        .error_for_status()?;
    answer.text().await?.trim().parse().context("count the rows of events")
}
