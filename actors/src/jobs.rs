//! Does the jobs of the outbox: takes what is due, tries it, notes what became of it. At least once: a worker that dies between
//! trying and noting leaves its job to the next one, and receivers tell the repeat by its id.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trunkline_connectors::webhook::{Delivery, DeliveryError, Sender};
use trunkline_core::id::EndpointId;
use trunkline_stores::postgres::jobs::{ClaimedJob, Tried};
use trunkline_stores::postgres::{Config, PostgresError};
use uuid::Uuid;

use crate::post::{self, Post};
use crate::system::{Health, Role, Roles, wall_clock};

/// How often the outbox is looked at; also how late a job may be.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Beyond the time a try may take, for noting what became of it.
const LEASE_SPARE: Duration = Duration::from_secs(30);
/// How often ended jobs are forgotten, and sessions that have run out: a clock that is set back must find none of them (S-149).
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// Ended jobs are kept this long, for those who look for a delivery.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Jobs forgotten at once: others wait for the same disk.
const FORGOTTEN_AT_ONCE: i32 = 5_000;
/// Kinds of jobs, as stored and as in the metrics.
const WEBHOOK: &str = "webhook";
const MAIL: &str = "mail";
const KINDS: [&str; 2] = [WEBHOOK, MAIL];
/// Wait before beginning anew after a panic.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time for tries under way when stopping.
const LAST_TRIES: Duration = Duration::from_secs(5);

/// How jobs are done.
#[derive(Debug, Clone, Copy)]
pub struct JobsOptions {
    /// Tries under way at the same time.
    pub parallel_max: usize,
    /// A try takes this long at most.
    pub timeout: Duration,
    /// Gives numbers from 0 to 1 that spread tries.
    pub chance: fn() -> f64,
}

/// The running worker of this process.
pub struct Jobs {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

struct Worker {
    id: Uuid,
    config: Config,
    sender: Sender,
    post: Option<Post>,
    options: JobsOptions,
    role: Arc<Role>,
}

impl Jobs {
    /// Begins on the current runtime and goes on until [`Jobs::stop`].
    pub fn start(config: Config, sender: Sender, post: Option<Post>, roles: &Roles, options: JobsOptions) -> Jobs {
        let stop = CancellationToken::new();
        let worker = Arc::new(Worker {
            id: Uuid::new_v4(),
            config,
            sender,
            post,
            options,
            role: roles.role("jobs", 0),
        });
        let task = tokio::spawn(keep(worker, stop.clone()));
        Jobs { stop, task }
    }

    /// Takes no further jobs, waits a little for those under way, and ends; what is not noted is tried again later.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if (&mut self.task).await.is_err() {
            tracing::error!("the worker of jobs ended by a panic");
        }
    }
}

impl Drop for Jobs {
    /// Dropped without [`Jobs::stop`] it dies where it stands, as in a crash.
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(worker: Arc<Worker>, stop: CancellationToken) {
    loop {
        worker.role.born();
        worker.role.tell(Health::Running, None);
        let worked = std::panic::AssertUnwindSafe(work(&worker, &stop)).catch_unwind().await;
        if worked.is_ok() {
            worker.role.ended();
            worker.role.tell(Health::Stopped, None);
            return;
        }
        tracing::error!("the worker of jobs panicked and begins anew");
        worker.role.died("panic");
        worker.role.tell(Health::Rebuilding, Some("panicked".to_owned()));
        if stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
            return;
        }
    }
}

async fn work(worker: &Worker, stop: &CancellationToken) {
    let mut under_way: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut forget = tokio::time::interval(FORGET_EVERY);
    forget.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let room = worker.options.parallel_max.saturating_sub(under_way.len());
        tokio::select! {
            () = stop.cancelled() => break,
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
            _ = look.tick(), if room > 0 => {
                let claimed = worker.claim(room).await;
                if claimed.len() == room {
                    // There may be more: look again as soon as one is done.
                    look.reset_immediately();
                }
                for job in claimed {
                    under_way.push(Box::pin(worker.attempt(job)));
                }
            }
            _ = forget.tick() => worker.forget().await,
        }
    }
    let rest = async { while under_way.next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_TRIES, rest).await;
}

impl Worker {
    async fn claim(&self, most: usize) -> Vec<ClaimedJob> {
        let now = wall_clock();
        let lease = self.options.timeout + LEASE_SPARE;
        let until = now.plus(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let claimed = self.config.claim_jobs(self.id, now, until, most).await;
        if let Ok(open) = self.config.open_jobs().await {
            for kind in KINDS {
                let waiting = open.iter().find(|(found, _)| found == kind).map_or(0, |(_, count)| *count);
                metrics::gauge!("trunkline_jobs_queued", "kind" => kind).set(waiting as f64);
            }
        }
        match claimed {
            Ok(jobs) => {
                self.role.tell(Health::Running, None);
                jobs
            }
            Err(error) => {
                tracing::debug!(%error, "jobs wait for Postgres");
                self.role.tell(Health::Running, Some(error.to_string()));
                Vec::new()
            }
        }
    }

    async fn attempt(&self, job: ClaimedJob) {
        let kind = if job.kind == MAIL { MAIL } else { WEBHOOK };
        let outcome = match kind {
            MAIL => post::send(&self.config, self.post.as_ref(), &job).await,
            _ => self.deliver(&job).await,
        };
        let tried = match outcome {
            Ok(tried) => tried,
            Err(error) => {
                // Not tried: its lease runs out and it comes up again.
                tracing::debug!(%error, "a job waits for Postgres");
                return;
            }
        };
        if tried != Tried::Done {
            metrics::counter!("trunkline_jobs_failed_total", "kind" => kind).increment(1);
        }
        let settled = self
            .config
            .settle_job(&job, self.id, &tried, wall_clock(), (self.options.chance)())
            .await;
        match settled {
            Ok(true) => metrics::counter!("trunkline_jobs_tried_total", "kind" => kind).increment(1),
            Ok(false) => tracing::warn!(job = %job.id, "a job took longer than its lease; another worker has it"),
            Err(error) => tracing::warn!(job = %job.id, %error, "what became of a job could not be noted; it is tried again"),
        }
    }

    async fn deliver(&self, job: &ClaimedJob) -> Result<Tried, PostgresError> {
        let endpoint = EndpointId(job.subject);
        let found = match self.config.webhook_target(job.tenant, endpoint, wall_clock()).await {
            Err(error @ PostgresError::Unreadable { .. }) => return Ok(Tried::Failed(error.to_string())),
            found => found?,
        };
        let Some(target) = found else {
            return Ok(Tried::Gone("its endpoint is no longer there".to_owned()));
        };
        if target.disabled {
            return Ok(Tried::Gone("its endpoint is switched off".to_owned()));
        }
        let id = job.id.to_string();
        let delivery = Delivery {
            url: &target.url,
            secret: &target.secret,
            previous: target.previous.as_ref(),
            id: &id,
            timestamp: wall_clock().0.div_euclid(1_000),
            body: &job.body,
        };
        Ok(match self.sender.deliver(&delivery).await {
            Ok(()) => Tried::Done,
            Err(error @ DeliveryError::Gone) => Tried::Gone(error.to_string()),
            Err(error) => {
                if matches!(error, DeliveryError::Blocked(_)) {
                    tracing::warn!(target: "audit", event = "ssrf.block", tenant = %job.tenant, endpoint = %endpoint, "a webhook's name leads inside");
                }
                Tried::Failed(error.to_string())
            }
        })
    }

    async fn forget(&self) {
        let before = wall_clock().plus(-KEPT_MS);
        if let Err(error) = self.config.forget_jobs(before, FORGOTTEN_AT_ONCE).await {
            tracing::debug!(%error, "old jobs are forgotten later");
        }
        let now = wall_clock();
        if let Err(error) = self.config.forget_requests(now, FORGOTTEN_AT_ONCE).await {
            tracing::debug!(%error, "old requests are forgotten later");
        }
        if let Err(error) = self.config.forget_dead_sessions(now).await {
            tracing::debug!(%error, "dead sessions are forgotten later");
        }
    }
}
