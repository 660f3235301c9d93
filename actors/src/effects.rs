//! The effects group: what every call costs its business, in Postgres, exact to the last event.
//!
//! Ledger, days and offsets are written in one transaction a batch, fenced by an epoch (rule D11), so it may die anywhere: the next
//! owner goes on where the last commit stands. Of each call it keeps the evidence that usage follows from
//! ([`trunkline_core::usage::Evidence`]); a call's contribution is a function of that set, and days change by the difference, so no
//! order and no repetition of events changes a bill. It asks nobody else: ClickHouse may be away.

pub(crate) mod again;
mod fold;
mod moves;
mod state;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trunkline_core::usage::UnreadableEvidence;
use trunkline_stores::log::{EventLog, LogError};
use trunkline_stores::postgres::effects::UsageLedger;
use trunkline_stores::postgres::{Directory, PostgresError};

use crate::system::{Clock, Role, Roles, keep_joined};
pub use fold::Ledger;
use state::Shared;
pub use state::{EffectsState, PartitionEffects};
use worker::Worker;

/// Name of the group in the log.
pub const GROUP: &str = "effects";

/// How the group works.
#[derive(Debug, Clone)]
pub struct EffectsOptions {
    /// Records of one transaction.
    pub batch_rows: usize,
    /// Bytes of one transaction's records, unless one is larger.
    pub batch_bytes: usize,
    /// Longest time a record waits for company: each transaction forces the disk once.
    pub linger: Duration,
    /// The clock; `None`: the system's.
    pub clock: Option<Clock>,
}

impl Default for EffectsOptions {
    fn default() -> Self {
        Self {
            batch_rows: 2_000,
            batch_bytes: 8 * 1024 * 1024,
            linger: Duration::from_millis(500),
            clock: None,
        }
    }
}

/// Why a batch could not be written.
#[derive(Debug, thiserror::Error)]
enum EffectsError {
    /// Postgres did not do it.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A newer version has been here, or the row is damaged: going on would make a wrong bill.
    #[error(transparent)]
    Evidence(#[from] UnreadableEvidence),
    /// Calls may have been moved, now or later.
    #[error("whether calls were moved is unknown: {0}")]
    MoveUnknown(PostgresError),
}

/// Why the member leaves and joins again.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("another member owns a partition of ours by now")]
    Stale,
    #[error("whether calls were moved is unknown")]
    Unknown,
}

/// The running group member of this process.
pub struct Effects {
    stop: CancellationToken,
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

/// What the group stands on.
#[derive(Clone)]
struct Ground {
    log: Arc<dyn EventLog>,
    store: Arc<dyn UsageLedger>,
    directory: watch::Receiver<Arc<Directory>>,
    options: EffectsOptions,
    shared: Arc<Shared>,
    role: Arc<Role>,
}

impl Effects {
    /// Joins the group on the current runtime and goes on until [`Effects::stop`].
    pub fn start(
        log: Arc<dyn EventLog>,
        store: Arc<dyn UsageLedger>,
        directory: watch::Receiver<Arc<Directory>>,
        roles: &Roles,
        options: EffectsOptions,
    ) -> Effects {
        let stop = CancellationToken::new();
        let (EffectsWatcher(shared), member) = Effects::member(log, store, directory, roles, options, stop.clone());
        let task = tokio::spawn(member);
        Effects { stop, task, shared }
    }

    /// A member that the caller runs: it goes on until `stop`, and dies where it stands when it is dropped.
    pub fn member(
        log: Arc<dyn EventLog>,
        store: Arc<dyn UsageLedger>,
        directory: watch::Receiver<Arc<Directory>>,
        roles: &Roles,
        options: EffectsOptions,
        stop: CancellationToken,
    ) -> (EffectsWatcher, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared::default());
        let ground = Ground {
            log,
            store,
            directory,
            options,
            shared: shared.clone(),
            role: roles.role("effects_writer", 0),
        };
        (EffectsWatcher(shared), keep(ground, stop))
    }

    /// What it is doing, for the operator page and tests.
    pub fn state(&self) -> EffectsState {
        self.shared.state()
    }

    /// A handle that reads [`Effects::state`] from anywhere.
    pub fn watcher(&self) -> EffectsWatcher {
        EffectsWatcher(self.shared.clone())
    }

    /// Writes what it has, leaves the group and ends. What could not be written is delivered again at the next start.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if (&mut self.task).await.is_err() {
            tracing::error!("the effects group ended by a panic");
        }
    }
}

impl Drop for Effects {
    /// Dropped without [`Effects::stop`] it dies where it stands, as in a crash.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the state of the group. Cheap to clone.
#[derive(Clone)]
pub struct EffectsWatcher(Arc<Shared>);

impl EffectsWatcher {
    /// What the group is doing.
    pub fn state(&self) -> EffectsState {
        self.0.state()
    }
}

async fn keep(ground: Ground, stop: CancellationToken) {
    let why = |lost: &Lost| match lost {
        Lost::Log(_) => "log",
        Lost::Stale => "stale",
        Lost::Unknown => "unknown",
    };
    let forget = || ground.shared.forget_partitions();
    keep_joined(GROUP, &ground.role, &stop, || work(&ground, &stop), why, forget).await;
}

async fn work(ground: &Ground, stop: &CancellationToken) -> Result<(), Lost> {
    let subscription = ground.log.subscribe(GROUP).await?;
    Worker::new(ground.clone(), subscription).run(stop).await
}
