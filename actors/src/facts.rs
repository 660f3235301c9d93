//! The facts group: every record of the log and the state of every call, in ClickHouse.
//!
//! It keeps nothing of its own. What is written is a function of the records; a call that is not in memory is folded again from
//! the records in the events table. So it may die anywhere: the log delivers again, the same rows come out, and the tables keep
//! each once; what it is about to write is noted before, and repeated to the letter ([`intent`]). ClickHouse away means that it waits and its offsets stay; nothing else notices.

pub(crate) mod again;
mod ahead;
pub(crate) mod batch;
mod cache;
mod elsewhere;
mod fold;
mod intent;
mod moves;
pub(crate) mod reading;
mod remembered;
mod rows;
mod staging;
mod state;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trunkline_core::metric::Rules;
use trunkline_stores::clickhouse::{BLOCK_BYTES, BLOCK_ROWS, FactTables};
use trunkline_stores::log::{EventLog, LogError};
use trunkline_stores::postgres::Directory;

use crate::system::{Clock, Role, Roles, keep_joined};
pub use elsewhere::watch_elsewhere;
use remembered::Remembered;
use state::Shared;
pub use state::{FactsState, PartitionFacts};
use worker::Worker;

/// Name of the group in the log.
pub const GROUP: &str = "facts";

/// How the group works.
#[derive(Debug, Clone)]
pub struct FactsOptions {
    /// Identity of the event log: another log has other offsets, so it must have another name.
    pub log_name: String,
    /// Records of one write. One insert must stay one block.
    pub batch_rows: usize,
    /// Bytes of one write, unless one record is larger.
    pub batch_bytes: usize,
    /// Longest time a record waits for company. An ended call is to be in the call log within 5 s.
    pub linger: Duration,
    /// Memory for calls that may get further events; as much again for those of partitions that are away.
    pub cache_bytes: usize,
    /// How the measures are counted.
    pub rules: Rules,
    /// The clock; `None`: the system's.
    pub clock: Option<Clock>,
}

impl FactsOptions {
    /// The usual ones for a log of this name.
    pub fn new(log_name: impl Into<String>) -> Self {
        Self {
            log_name: log_name.into(),
            batch_rows: BLOCK_ROWS,
            batch_bytes: BLOCK_BYTES,
            linger: Duration::from_millis(500),
            cache_bytes: 256 * 1024 * 1024,
            rules: Rules::default(),
            clock: None,
        }
    }
}

/// The running group member of this process.
pub struct Facts {
    stop: CancellationToken,
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

/// What the group stands on.
#[derive(Clone)]
struct Ground {
    log: Arc<dyn EventLog>,
    tables: Arc<dyn FactTables>,
    directory: watch::Receiver<Arc<Directory>>,
    options: Arc<FactsOptions>,
    shared: Arc<Shared>,
    role: Arc<Role>,
}

impl Facts {
    /// Joins the group on the current runtime and goes on until [`Facts::stop`].
    pub fn start(
        log: Arc<dyn EventLog>,
        tables: Arc<dyn FactTables>,
        directory: watch::Receiver<Arc<Directory>>,
        roles: &Roles,
        options: FactsOptions,
    ) -> Facts {
        let stop = CancellationToken::new();
        let (FactsWatcher(shared), member) = Facts::member(log, tables, directory, roles, options, stop.clone());
        let task = tokio::spawn(member);
        Facts { stop, task, shared }
    }

    /// A member that the caller runs: it goes on until `stop`, and dies where it stands when it is dropped.
    pub fn member(
        log: Arc<dyn EventLog>,
        tables: Arc<dyn FactTables>,
        directory: watch::Receiver<Arc<Directory>>,
        roles: &Roles,
        options: FactsOptions,
        stop: CancellationToken,
    ) -> (FactsWatcher, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared::default());
        let role = roles.role("facts_writer", 0);
        let ground = Ground {
            log,
            tables,
            directory,
            options: Arc::new(options),
            shared: shared.clone(),
            role,
        };
        (FactsWatcher(shared), keep(ground, stop))
    }

    /// What it is doing, for the operator page and tests.
    pub fn state(&self) -> FactsState {
        self.shared.state()
    }

    /// A handle that reads [`Facts::state`] from anywhere.
    pub fn watcher(&self) -> FactsWatcher {
        FactsWatcher(self.shared.clone())
    }

    /// Writes what it has, leaves the group and ends. What could not be written is delivered again at the next start.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if (&mut self.task).await.is_err() {
            tracing::error!("the facts group ended by a panic");
        }
    }
}

impl Drop for Facts {
    /// Dropped without [`Facts::stop`] it dies where it stands, as in a crash.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the state of the group. Cheap to clone.
#[derive(Clone)]
pub struct FactsWatcher(Arc<Shared>);

impl FactsWatcher {
    /// What the group is doing.
    pub fn state(&self) -> FactsState {
        self.0.state()
    }
}

async fn keep(ground: Ground, stop: CancellationToken) {
    let why = |_: &LogError| "log";
    let forget = || ground.shared.forget_partitions();
    let remembered = Mutex::new(Remembered::default());
    keep_joined(GROUP, &ground.role, &stop, || work(&ground, &remembered, &stop), why, forget).await;
}

/// After a panic nothing is remembered: whatever it was may be in there.
async fn work(ground: &Ground, remembered: &Mutex<Remembered>, stop: &CancellationToken) -> Result<(), LogError> {
    let subscription = ground.log.subscribe(GROUP).await?;
    let known = std::mem::take(&mut *remembered.lock().unwrap_or_else(PoisonError::into_inner));
    let mut worker = Worker::new(ground.clone(), subscription, known);
    let outcome = worker.run(stop).await;
    match outcome {
        Ok(()) => worker.end().await,
        Err(_) => *remembered.lock().unwrap_or_else(PoisonError::into_inner) = worker.remember(),
    }
    outcome
}
