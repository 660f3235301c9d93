//! The running auditor of a process: a pass now and then, if no other process is at one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trunkline_core::metric::Rules;
use trunkline_stores::clickhouse::Analytics;
use trunkline_stores::log::EventLog;
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::auditor::AuditBook;
use trunkline_stores::postgres::effects::Effects;

use super::AuditError;
use super::pass::pass;
use crate::system::{Health, Role, Roles, keep_joined, wall_clock};

/// Name of the role, and of the turn.
const NAME: &str = "auditor";
/// Findings that were repaired longer ago are forgotten.
const FORGET_MS: i64 = 90 * 86_400_000;

/// How it compares.
#[derive(Debug, Clone, Copy)]
pub struct AuditorOptions {
    /// From the end of a pass to the next.
    pub every: Duration,
    /// Records of each partition that are compared once more with each pass, from the beginning on and round.
    pub again_records: u32,
}

/// What it stands on.
#[derive(Clone)]
pub struct Ground {
    /// The log, which is right by definition.
    pub log: Arc<dyn EventLog>,
    /// Its name, as the groups call it.
    pub log_name: String,
    /// The facts.
    pub facts: Analytics,
    /// The usage ledger.
    pub ledger: Effects,
    /// Where findings are written down.
    pub book: AuditBook,
    /// Which call belongs to whom.
    pub directory: channel::Receiver<Arc<Directory>>,
    /// How measures are counted.
    pub rules: Rules,
    /// How.
    pub options: AuditorOptions,
}

/// The running auditor of this process.
pub struct Auditor {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Auditor {
    /// Begins on the current runtime and goes on until [`Auditor::stop`].
    pub fn start(ground: Ground, roles: &Roles) -> Auditor {
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(ground, roles.role(NAME, 0), stop.clone()));
        Auditor { stop, task }
    }

    /// Leaves a pass where it stands: what was noted and not repaired is repaired by the next.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if (&mut self.task).await.is_err() {
            tracing::error!("the auditor ended by a panic");
        }
    }
}

impl Drop for Auditor {
    /// Dropped without [`Auditor::stop`] it dies where it stands, as in a crash.
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(ground: Ground, role: Arc<Role>, stop: CancellationToken) {
    let work = || async {
        stop.run_until_cancelled(work(&ground, &role)).await;
        Ok::<(), AuditError>(())
    };
    keep_joined(NAME, &role, &stop, work, |_| NAME, || ()).await;
}

async fn work(ground: &Ground, role: &Role) {
    loop {
        tokio::time::sleep(ground.options.every).await;
        let outcome = match take_turn(ground).await {
            Ok(true) => {
                role.tell(Health::Running, None);
                "done"
            }
            Ok(false) => {
                role.tell(Health::Running, Some("another process compares".to_owned()));
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "the auditor could not finish a pass; it tries again");
                role.tell(Health::Running, Some(error.to_string()));
                "failed"
            }
        };
        metrics::counter!("trunkline_audit_passes_total", "outcome" => outcome).increment(1);
    }
}

/// A pass, unless another process is at one.
async fn take_turn(ground: &Ground) -> Result<bool, AuditError> {
    let Some(_turn) = ground.book.turn().await? else {
        return Ok(false);
    };
    pass(ground).await?;
    ground.book.forget(wall_clock().plus(-FORGET_MS)).await?;
    Ok(true)
}
