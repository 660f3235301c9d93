//! Jobs: work that leaves the house, written with the effect that causes it and done at least once.

use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{EndpointId, JobId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::retry;
use uuid::Uuid;

use super::config::{column, must_exist, rows};
use super::{Config, PostgresError, tenant};

/// Most characters of an error that are kept.
const ERROR_CHARS: usize = 500;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Queued,
    /// A worker has it.
    Running,
    /// Done.
    Done,
    /// Tried as often as is tried.
    Dead,
    /// By a person.
    Cancelled,
}

impl JobState {
    /// All of them.
    pub const ALL: [JobState; 5] = [
        JobState::Queued,
        JobState::Running,
        JobState::Done,
        JobState::Dead,
        JobState::Cancelled,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Dead => "dead",
            JobState::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<JobState> {
        JobState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A job that a worker has taken.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Whose.
    pub tenant: TenantId,
    /// Which; receivers tell repeats by it.
    pub id: JobId,
    /// What kind of work.
    pub kind: String,
    /// What it is for: the endpoint of a webhook, the invitation or reset of a mail.
    pub subject: Uuid,
    /// What it tells.
    pub topic: String,
    /// The body to send; mails are written when they are sent.
    pub body: String,
    /// Tries, this one included.
    pub tries: u32,
}

/// A job as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    /// Which.
    pub id: JobId,
    /// What kind of work.
    pub kind: String,
    /// The endpoint of a webhook; of a mail, no endpoint has this id.
    pub endpoint: EndpointId,
    /// What it tells.
    pub topic: String,
    /// Where it stands.
    pub state: String,
    /// Tries so far.
    pub tries: u32,
    /// When it is tried next.
    pub due_at: Millis,
    /// When it was made.
    pub created_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// What went wrong last.
    pub error: String,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It is done.
    Done,
    /// It failed, and may be tried again.
    Failed(String),
    /// It failed, and the receiver wants nothing more.
    Gone(String),
}

fn shown(error: &str) -> String {
    error.chars().filter(|letter| !letter.is_control()).take(ERROR_CHARS).collect()
}

impl Config {
    /// Takes up to `most` jobs that are due, of any tenant, until `until`.
    pub async fn claim_jobs(&self, worker: Uuid, now: Millis, until: Millis, most: usize) -> Result<Vec<ClaimedJob>, PostgresError> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let sql = include_str!("sql/claim_jobs.sql");
        let found = self.ask("claim jobs", sql, &[&worker, &now.0, &until.0, &most]).await?;
        let read = |row| {
            Ok(ClaimedJob {
                tenant: TenantId(column(row, 0)?),
                id: JobId(column(row, 1)?),
                kind: column(row, 2)?,
                subject: column(row, 3)?,
                topic: column(row, 4)?,
                body: column(row, 5)?,
                tries: column::<i32>(row, 6)?.unsigned_abs(),
            })
        };
        found.iter().map(read).collect()
    }

    /// Notes what became of a try: of the job, and of the endpoint it went to. False when the job was no longer this worker's.
    /// `chance` from 0 to 1 spreads the next try.
    pub async fn settle_job(&self, job: &ClaimedJob, worker: Uuid, tried: &Tried, now: Millis, chance: f64) -> Result<bool, PostgresError> {
        let doing = "settle a job";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, job.tenant, doing).await?;
        let finish = include_str!("sql/finish_job.sql");
        let end = |state: JobState| (state.as_str(), now.0);
        let settled = match tried {
            Tried::Done => {
                let (state, at) = end(JobState::Done);
                rows(&transaction, doing, include_str!("sql/webhook_works.sql"), &[&job.subject]).await?;
                rows(&transaction, doing, finish, &[&job.id.0, &worker, &state, &at, &""]).await?
            }
            Tried::Failed(error) => {
                let error = shown(error);
                let fails = include_str!("sql/webhook_fails.sql");
                let failing = rows(&transaction, doing, fails, &[&job.subject, &now.0]).await?;
                let since: Option<i64> = failing.first().map(|row| column(row, 0)).transpose()?;
                let off = since.is_some_and(|since| now.since(Millis(since)) >= retry::FAILING_MS_MAX);
                if off {
                    let reason = format!("failed for {} hours", retry::FAILING_MS_MAX / 3_600_000);
                    let disable = include_str!("sql/disable_webhook.sql");
                    rows(&transaction, doing, disable, &[&job.subject, &now.0, &reason]).await?;
                }
                match retry::pause_ms(job.tries, chance).filter(|_| !off) {
                    Some(pause) => {
                        let postpone = include_str!("sql/postpone_job.sql");
                        rows(&transaction, doing, postpone, &[&job.id.0, &worker, &now.plus(pause).0, &error]).await?
                    }
                    None => {
                        let (state, at) = end(JobState::Dead);
                        rows(&transaction, doing, finish, &[&job.id.0, &worker, &state, &at, &error]).await?
                    }
                }
            }
            Tried::Gone(error) => {
                let error = shown(error);
                let disable = include_str!("sql/disable_webhook.sql");
                rows(&transaction, doing, disable, &[&job.subject, &now.0, &error]).await?;
                let (state, at) = end(JobState::Dead);
                rows(&transaction, doing, finish, &[&job.id.0, &worker, &state, &at, &error]).await?
            }
        };
        tenant::commit(transaction, doing).await?;
        Ok(!settled.is_empty())
    }

    /// Jobs of a tenant, newest first; of one state or all.
    pub async fn jobs(&self, tenant: TenantId, state: Option<JobState>, most: u32) -> Result<Vec<ListedJob>, PostgresError> {
        let state = state.map(JobState::as_str);
        let sql = include_str!("sql/jobs.sql");
        let found = self.ask_within(tenant, "list jobs", sql, &[&state, &i64::from(most)]).await?;
        let read = |row| {
            Ok(ListedJob {
                id: JobId(column(row, 0)?),
                kind: column(row, 1)?,
                endpoint: EndpointId(column(row, 2)?),
                topic: column(row, 3)?,
                state: column(row, 4)?,
                tries: column::<i32>(row, 5)?.unsigned_abs(),
                due_at: Millis(column(row, 6)?),
                created_at: Millis(column(row, 7)?),
                ended_at: column::<Option<i64>>(row, 8)?.map(Millis),
                error: column(row, 9)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// How many jobs of a tenant stand where.
    pub async fn job_counts(&self, tenant: TenantId) -> Result<Vec<(String, u64)>, PostgresError> {
        let found = self
            .ask_within(tenant, "count jobs", include_str!("sql/job_counts.sql"), &[])
            .await?;
        let read = |row| Ok((column(row, 0)?, column::<i64>(row, 1)?.unsigned_abs()));
        found.iter().map(read).collect()
    }

    /// Tries a job now and as often as a new one.
    pub async fn retry_job(&self, tenant: TenantId, by: &By, id: JobId, now: Millis) -> Result<(), PostgresError> {
        let doing = "try a job again";
        let sql = include_str!("sql/retry_job.sql");
        let deed = Deed::plain("job.retry", "job", id);
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&id.0, &now.0]).await?, doing)
    }

    /// Gives a waiting job up.
    pub async fn cancel_job(&self, tenant: TenantId, by: &By, id: JobId, now: Millis) -> Result<(), PostgresError> {
        let doing = "cancel a job";
        let sql = include_str!("sql/cancel_job.sql");
        let deed = Deed::plain("job.cancel", "job", id);
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&id.0, &now.0]).await?, doing)
    }

    /// Deletes at most `most` jobs that ended before a moment.
    pub async fn forget_jobs(&self, before: Millis, most: i32) -> Result<u64, PostgresError> {
        let sql = include_str!("sql/forget_jobs.sql");
        let found = self.ask("forget jobs", sql, &[&before.0, &most]).await?;
        Ok(found.first().map_or(Ok(0), |row| column::<i64>(row, 0))?.unsigned_abs())
    }

    /// How many jobs of all tenants are open, by kind.
    pub async fn open_jobs(&self) -> Result<Vec<(String, u64)>, PostgresError> {
        let found = self.ask("count open jobs", include_str!("sql/count_open_jobs.sql"), &[]).await?;
        let read = |row| Ok((column(row, 0)?, column::<i64>(row, 1)?.unsigned_abs()));
        found.iter().map(read).collect()
    }
}
