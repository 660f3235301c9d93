//! The event log on tables in Postgres: for installations that fit on one machine, without a broker.
//!
//! Offsets are dense because a writer holds the partition's row until it commits. Appends of many callers share a commit
//! ([`writer`]). Readers learn of new records from [`ends`], and of partitions to read by advisory locks ([`member`]).

mod compacted;
mod ends;
mod member;
mod read;
mod writer;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trunkline_core::instant::Millis;

use super::{AppendError, CompactedTopic, EventLog, LogError, LogRecord, Position, Subscription};
use crate::postgres::{Database, PostgresError};
use ends::Ends;
use member::Member;
use writer::Writers;

/// Most partitions: the list of their ends must fit in one notification of 8,000 bytes.
const PARTITIONS_MAX: u32 = 256;

/// Between two rounds of forgetting old records.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Records forgotten in one transaction: a short one, so that nothing waits for it.
const FORGET_AT_ONCE: i32 = 2_000;

/// How long readiness waits for an answer.
const HEALTH_WAIT: Duration = Duration::from_secs(1);

/// How the log is set up.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Number of partitions; fixed when the log is first opened.
    pub partitions: u32,
    /// Connections that write; each serves its share of the partitions.
    pub writers: u32,
    /// Records older than this are deleted; none unless set.
    pub retention: Option<Duration>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            partitions: 8,
            writers: 2,
            retention: None,
        }
    }
}

/// The log in one database.
pub struct PostgresLog {
    shared: Arc<Shared>,
    writers: Writers,
    tasks: TaskTracker,
}

/// What writers, readers and the bell have in common.
struct Shared {
    database: Database,
    identity: String,
    partitions: u32,
    ends: Ends,
    closing: CancellationToken,
}

impl PostgresLog {
    /// Opens the log, making it on first use. Refuses when it has another number of partitions: keys would move.
    pub async fn open(database: Database, options: &LogOptions) -> Result<Self, LogError> {
        if !(1..=PARTITIONS_MAX).contains(&options.partitions) {
            return Err(LogError::Misconfigured(format!(
                "a log has 1 to {PARTITIONS_MAX} partitions, not {}",
                options.partitions
            )));
        }
        let wanted = i32::try_from(options.partitions).expect("at most PARTITIONS_MAX");
        let rows = ask(&database, "open the event log", include_str!("sql/open_log.sql"), &[&wanted]).await?;
        let has: i64 = rows.first().map(|row| column(row, 0)).transpose()?.unwrap_or_default();
        if has != i64::from(options.partitions) {
            return Err(LogError::Misconfigured(format!(
                "the event log has {has} partitions and the settings say {}; the number is fixed when a log is made, so set it to {has}",
                options.partitions,
            )));
        }
        let rows = ask(&database, "read which log this is", include_str!("sql/identity.sql"), &[]).await?;
        let id: uuid::Uuid = rows
            .first()
            .map(|row| column(row, 0))
            .transpose()?
            .ok_or_else(|| LogError::Misconfigured("the event log has no identity; run trunkline migrate".into()))?;
        let shared = Arc::new(Shared {
            database,
            identity: format!("postgres:{id}"),
            partitions: options.partitions,
            ends: Ends::new(options.partitions),
            closing: CancellationToken::new(),
        });
        ends::refresh(&shared).await?;
        let tasks = TaskTracker::new();
        let writers = Writers::start(&shared, options.writers.max(1), &tasks);
        tasks.spawn(ends::ring(shared.clone()));
        if let Some(retention) = options.retention {
            tasks.spawn(forget_regularly(shared.clone(), retention));
        }
        Ok(Self { shared, writers, tasks })
    }

    /// Deletes records appended before `at`, from the beginning of each partition; says how many.
    pub async fn forget_before(&self, at: Millis) -> Result<u64, LogError> {
        forget_before(&self.shared, at).await
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    fn partitions(&self) -> u32 {
        self.shared.partitions
    }

    fn identity(&self) -> &str {
        &self.shared.identity
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        self.writers
            .append(super::partitioner::partition_of(key, self.shared.partitions), bytes)
            .await
    }

    async fn append_in_order(&self, key: &str, records: &[Bytes]) -> (usize, Option<AppendError>) {
        super::append_at_once(self, key, records).await
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        self.shared.must_be_open()?;
        Ok(Box::new(Member::join(self.shared.clone(), group).await?))
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        read::span(&self.shared, partition).await
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        let sql = include_str!("sql/offset_at.sql");
        let rows = ask(&self.shared.database, "find an offset", sql, &[&number(partition), &at.0]).await?;
        rows.first()
            .and_then(|row| row.try_get::<_, Option<i64>>(0).ok().flatten())
            .ok_or_else(|| no_partition(partition))
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        read::records(&self.shared, partition, from, max).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        let sql = include_str!("sql/committed.sql");
        let rows = ask(&self.shared.database, "read what a group has done", sql, &[&group]).await?;
        rows.iter().map(|row| Ok((partition_number(row, 0)?, column(row, 1)?))).collect()
    }

    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        self.shared.must_be_open()?;
        Ok(Arc::new(compacted::Values::new(self.shared.clone(), name)))
    }

    async fn healthy(&self) -> Result<(), LogError> {
        self.shared.must_be_open()?;
        let asked = ask(&self.shared.database, "check the event log", include_str!("sql/can_write.sql"), &[]);
        let rows = tokio::time::timeout(HEALTH_WAIT, asked)
            .await
            .map_err(|_| LogError::Unavailable(format!("Postgres did not answer within {} ms", HEALTH_WAIT.as_millis())))??;
        match rows.first().map(|row| column::<bool>(row, 0)).transpose()? {
            Some(true) => Ok(()),
            _ => Err(LogError::Unavailable(
                "Postgres takes no writes at the moment (standby or read-only)".into(),
            )),
        }
    }

    async fn close(&self) {
        self.shared.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for PostgresLog {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}

impl Shared {
    fn must_be_open(&self) -> Result<(), LogError> {
        if self.closing.is_cancelled() {
            Err(LogError::Unavailable("it has been closed".into()))
        } else {
            Ok(())
        }
    }
}

async fn forget_before(shared: &Shared, at: Millis) -> Result<u64, LogError> {
    let mut forgotten = 0;
    for partition in 0..shared.partitions {
        loop {
            let sql = include_str!("sql/forget.sql");
            let rows = ask(
                &shared.database,
                "forget old records",
                sql,
                &[&number(partition), &at.0, &FORGET_AT_ONCE],
            )
            .await?;
            let count: i64 = rows.first().map(|row| column(row, 0)).transpose()?.unwrap_or_default();
            forgotten += count.unsigned_abs();
            if count < i64::from(FORGET_AT_ONCE) {
                break;
            }
        }
    }
    Ok(forgotten)
}

async fn forget_regularly(shared: Arc<Shared>, retention: Duration) {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = now.saturating_sub(retention).as_millis();
        match forget_before(&shared, Millis(i64::try_from(at).unwrap_or_default())).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot records older than the log's retention"),
            Err(error) => tracing::warn!(%error, "cannot forget old records; trying again later"),
        }
        if shared.closing.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_none() {
            return;
        }
    }
}

async fn ask(database: &Database, doing: &'static str, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, LogError> {
    let client = database.client(doing).await.map_err(LogError::from)?;
    let statement: Statement = client.prepare_cached(sql).await.map_err(|error| from_driver(doing, &error))?;
    client
        .query(&statement, parameters)
        .await
        .map_err(|error| from_driver(doing, &error))
}

impl From<PostgresError> for LogError {
    fn from(error: PostgresError) -> Self {
        if error.is_passing() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Misconfigured(error.to_string())
        }
    }
}

fn from_driver(doing: &'static str, error: &tokio_postgres::Error) -> LogError {
    PostgresError::from_driver(doing, error).into()
}

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, LogError> {
    row.try_get(at).map_err(|error| from_driver("read a column", &error))
}

fn partition_number(row: &Row, at: usize) -> Result<u32, LogError> {
    u32::try_from(column::<i32>(row, at)?).map_err(|_| LogError::Misconfigured("a partition has a negative number".into()))
}

/// Partitions as Postgres counts them.
fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn no_partition(partition: u32) -> LogError {
    LogError::Misconfigured(format!("the event log has no partition {partition}"))
}
