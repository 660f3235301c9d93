//! The reconciler: compares what we heard with Retell's own list of calls, workspace by workspace, and fills in what is missing.
//!
//! What is filled in goes into the *log*, under the names that the real webhooks have, so every group sees it and a late webhook is a
//! repeat (rule B2). Every difference is written down before anything is done about it. One process at a time compares a workspace: its
//! turn is an advisory lock in Postgres, and when the next one is due stands there too.

mod audit;
mod heal;
mod pass;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trunkline_connectors::retell::{Client, Pace, RetellError};
use trunkline_core::id::WorkspaceId;
use trunkline_core::instant::Millis;
use trunkline_core::usage::UnreadableEvidence;
use trunkline_stores::log::{AppendError, EventLog, LogError};
use trunkline_stores::postgres::effects::Effects;
use trunkline_stores::postgres::reconciler::Progress;
use trunkline_stores::postgres::row::Sighting;
use trunkline_stores::postgres::{Config, Directory, PostgresError, WorkspaceEntry};

use crate::system::{Health, Role, Roles, wall_clock};

pub use pass::{Found, Passed, pass};
pub use watch::watch_reconciled;

/// How often it is looked who is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Workspaces compared at the same time: each holds a page of calls in memory and a Postgres session.
const PARALLEL: usize = 4;
/// First pause after a failed pass, unless passes follow each other faster; doubles.
const PAUSE_MIN_MS: i64 = 30_000;
/// Longest pause: Retell's or our own trouble is over for this long at most before it is noticed.
const PAUSE_MAX_MS: i64 = 15 * 60_000;
/// And never longer than so many passes are apart: whoever compares often wants to know soon that it works again.
const PAUSE_PASSES_MAX: i64 = 4;
/// A refused key does not get better by itself; a changed key is tried at once.
const KEY_PAUSE_MS: i64 = 3_600_000;
/// Wait before beginning anew after a panic.
const AGAIN: Duration = Duration::from_secs(5);

/// Notice of a key that Retell refuses.
pub const KEY_REFUSED: &str = "retell_key_refused";

/// How it compares.
#[derive(Debug, Clone)]
pub struct ReconcilerOptions {
    /// Retell's address, or that of a stand-in.
    pub api_url: String,
    /// From the end of a pass to the next.
    pub every: Duration,
    /// A call that ended more recently is left alone: Retell may still be sending (up to four attempts of ten seconds, with pauses).
    pub grace: Duration,
    /// How far the first pass and the slow deep passes look back.
    pub back: Duration,
    /// Requests a second to one workspace's account. Retell publishes no limit and answers 429 beyond it.
    pub requests_per_second: u32,
}

/// What it stands on.
#[derive(Clone)]
pub struct Ground {
    /// Configuration, findings, progress.
    pub config: Config,
    /// What we heard of each call.
    pub ledger: Effects,
    /// Where missing events go.
    pub log: Arc<dyn EventLog>,
    /// Workspaces with their keys and tokens.
    pub directory: channel::Receiver<Arc<Directory>>,
    /// How.
    pub options: ReconcilerOptions,
}

/// Why a pass could not be finished. What it had done by then stays done.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Retell.
    #[error(transparent)]
    Retell(#[from] RetellError),
    /// Postgres.
    #[error(transparent)]
    Store(#[from] PostgresError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log did not take what is missing.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What the ledger keeps of a call.
    #[error(transparent)]
    Evidence(#[from] UnreadableEvidence),
    /// What we heard cannot be told yet.
    #[error("the effects group is behind the log; what was heard of calls is not known yet")]
    LedgerBehind,
    /// Another process has the turn.
    #[error("another process compares this workspace")]
    Turn,
}

/// The running reconciler of this process.
pub struct Reconciler {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Reconciler {
    /// Begins on the current runtime and goes on until [`Reconciler::stop`].
    pub fn start(ground: Ground, roles: &Roles) -> Reconciler {
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(ground, roles.role("reconciler", 0), stop.clone()));
        Reconciler { stop, task }
    }

    /// Leaves passes where they stand: what was noted and not filled in is filled in by the next.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if (&mut self.task).await.is_err() {
            tracing::error!("the reconciler ended by a panic");
        }
    }
}

impl Drop for Reconciler {
    /// Dropped without [`Reconciler::stop`] it dies where it stands, as in a crash.
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(ground: Ground, role: Arc<Role>, stop: CancellationToken) {
    loop {
        role.born();
        role.tell(Health::Running, None);
        let worked = std::panic::AssertUnwindSafe(stop.run_until_cancelled(work(&ground, &role)))
            .catch_unwind()
            .await;
        if worked.is_ok() {
            role.ended();
            role.tell(Health::Stopped, None);
            return;
        }
        tracing::error!("the reconciler panicked and begins anew");
        role.died("panic");
        role.tell(Health::Rebuilding, Some("panicked".to_owned()));
        if stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
            return;
        }
    }
}

/// Keys that Retell refused here, so that a changed one is tried at once.
type Refused = Mutex<HashMap<WorkspaceId, SecretString>>;

async fn work(ground: &Ground, role: &Role) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let refused = Refused::default();
    // When each workspace is due, as far as known here, so that Postgres is not asked every second.
    let due: Mutex<HashMap<WorkspaceId, Millis>> = Mutex::default();
    loop {
        look.tick().await;
        let now = wall_clock();
        let directory = Arc::clone(&ground.directory.borrow());
        let is_due = |entry: &&Arc<WorkspaceEntry>| {
            let Some(key) = entry.api_key.as_ref().filter(|_| entry.enabled) else {
                return false;
            };
            is_new_key(&refused, entry.workspace, key) || lock(&due).get(&entry.workspace).is_none_or(|due| *due <= now)
        };
        let wanted: Vec<Arc<WorkspaceEntry>> = directory.by_token.values().filter(is_due).cloned().collect();
        stream::iter(wanted)
            .for_each_concurrent(PARALLEL, |entry| {
                let (due, refused) = (&due, &refused);
                async move {
                    let workspace = entry.workspace;
                    let next = match take_turn(ground, &entry, refused).await {
                        Ok(next) => next,
                        Err(error) => {
                            // Neither the pass nor its failure could be noted: Postgres is away.
                            tracing::debug!(%workspace, %error, "the reconciler waits for Postgres");
                            role.tell(Health::Running, Some(error.to_string()));
                            wall_clock().plus(PAUSE_MIN_MS)
                        }
                    };
                    lock(due).insert(workspace, next);
                }
            })
            .await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_new_key(refused: &Refused, workspace: WorkspaceId, key: &SecretString) -> bool {
    let refused = lock(refused);
    refused
        .get(&workspace)
        .is_some_and(|refused| refused.expose_secret() != key.expose_secret())
}

/// A pass over a workspace if it is due and nobody else is at it; gives when to look again.
async fn take_turn(ground: &Ground, entry: &WorkspaceEntry, refused: &Refused) -> Result<Millis, PostgresError> {
    let (tenant, workspace) = (entry.tenant, entry.workspace);
    let Some(turn) = ground.config.reconciler_turn(workspace).await? else {
        return Ok(wall_clock().plus(PAUSE_MIN_MS));
    };
    // Read under the lock: another process may just have been here.
    let known = ground.config.reconciled(tenant, Some(workspace)).await?;
    let mut progress = known.into_iter().next().map(|(_, progress)| progress).unwrap_or_default();
    let key = entry.api_key.clone().unwrap_or_default();
    if progress.next_at > wall_clock() && !is_new_key(refused, workspace, &key) {
        return Ok(progress.next_at);
    }
    lock(refused).remove(&workspace);
    let compared = compare(ground, entry, &turn, &mut progress).await;
    let now = wall_clock();
    let outcome = match compared {
        Ok(()) => {
            progress.failures = 0;
            progress.waits_for = String::new();
            progress.passed_at = Some(now);
            progress.next_at = now.plus(millis(ground.options.every));
            "done"
        }
        Err(error) => {
            progress.failures += 1;
            progress.waits_for = error.to_string();
            progress.next_at = now.plus(pause(&error, progress.failures, ground.options.every));
            if matches!(error, PassError::Retell(RetellError::Key(_))) {
                lock(refused).insert(workspace, key);
                note(ground, entry, KEY_REFUSED, "").await?;
            }
            tracing::warn!(%workspace, %error, failures = progress.failures, "the reconciler could not finish a pass; it tries again");
            "failed"
        }
    };
    metrics::counter!("trunkline_reconciler_passes_total", "outcome" => outcome).increment(1);
    ground.config.put_reconciled(tenant, workspace, &progress).await?;
    Ok(progress.next_at)
}

async fn compare(
    ground: &Ground,
    entry: &WorkspaceEntry,
    turn: &trunkline_stores::postgres::reconciler::Turn,
    progress: &mut Progress,
) -> Result<(), PassError> {
    let client = client(ground, entry)?;
    let passed = pass(ground, entry, &client, turn, progress, None).await?;
    ground
        .config
        .settle_notice(entry.tenant, entry.workspace, KEY_REFUSED, "")
        .await
        .or_else(|error| match error {
            PostgresError::Missing { .. } => Ok(()),
            error => Err(error),
        })?;
    audit::audit_if_due(ground, entry, &client, progress, &passed).await
}

/// A client for the account of a workspace.
pub fn client(ground: &Ground, entry: &WorkspaceEntry) -> Result<Client, RetellError> {
    let key = entry.api_key.clone().unwrap_or_default();
    Client::new(&ground.options.api_url, key, Pace::per_second(ground.options.requests_per_second))
}

/// How long to wait after a failure, where passes are `every` apart.
fn pause(error: &PassError, failures: u32, every: Duration) -> i64 {
    let every = millis(every);
    let longest = every.saturating_mul(PAUSE_PASSES_MAX).min(PAUSE_MAX_MS);
    let growing = PAUSE_MIN_MS
        .min(every)
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(longest);
    match error {
        PassError::Retell(RetellError::Key(_)) => KEY_PAUSE_MS,
        PassError::Retell(RetellError::Limited { retry_after: Some(asked) }) => growing.max(millis(*asked)),
        _ => growing,
    }
}

async fn note(ground: &Ground, entry: &WorkspaceEntry, kind: &str, subject: &str) -> Result<(), PostgresError> {
    let sighting = Sighting {
        workspace: entry.workspace,
        kind,
        subject,
        times: 1,
        at: wall_clock(),
    };
    ground.config.note(entry.tenant, &sighting).await
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_obey_retell() {
        let behind = PassError::LedgerBehind;
        let pauses = |every| -> Vec<i64> {
            let every = Duration::from_secs(every);
            (1..=7).map(|failures| pause(&behind, failures, every) / 1_000).collect()
        };
        assert_eq!(pauses(120), [30, 60, 120, 240, 480, 480, 480]);
        assert_eq!(pauses(3_600), [30, 60, 120, 240, 480, 900, 900]);
        // The demo's: nobody waits a quarter of an hour there.
        assert_eq!(pauses(20), [20, 40, 80, 80, 80, 80, 80]);
        let (retry_after, every) = (Some(Duration::from_secs(600)), Duration::from_secs(120));
        assert_eq!(pause(&RetellError::Limited { retry_after }.into(), 1, every), 600_000);
        assert_eq!(pause(&RetellError::Key(401).into(), 1, every), KEY_PAUSE_MS);
    }
}
