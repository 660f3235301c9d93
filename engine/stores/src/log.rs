//! The event log port: partitioned, append-only, dense offsets, read by independent groups.
//!
//! Two adapters pass one suite: Postgres (default) and Kafka.

pub mod compacted;
mod installation;
pub mod kafka;
pub mod partitioner;
pub mod postgres;

pub use compacted::CompactedTopic;
pub use installation::{known, recognise, take};

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use trunkline_core::instant::Millis;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// Partition, from 0.
    pub partition: u32,
    /// Offset, dense from 0 (no transactions, no compaction on the raw topic).
    pub offset: i64,
}

/// One record as read.
#[derive(Debug, Clone)]
pub struct LogRecord {
    /// Where it stands.
    pub position: Position,
    /// When the log took it.
    pub appended_at: Millis,
    /// [`trunkline_core::record::Record::encode`]d bytes.
    pub bytes: Bytes,
}

/// Why an append was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log did not acknowledge in time: the record may or may not be stored.
    #[error("event log did not acknowledge in time; the record may or may not be stored")]
    Unknown,
    /// The log is away or refuses: the record is not stored.
    #[error("event log is unavailable: {0}")]
    Unavailable(String),
    /// The record is larger than the log takes.
    #[error("record of {bytes} bytes is larger than the log's limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why reading failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log is away; try again.
    #[error("event log is unavailable: {0}")]
    Unavailable(String),
    /// The log is set up differently from what we need; a person must act.
    #[error("event log is set up wrongly: {0}")]
    Misconfigured(String),
    /// Another member of the same name has this one's place in its group. It may be this very process, which joined again while a broker
    /// stood still and did not hear the answer: subscribe anew. If that goes on, two processes have one name.
    #[error("another member of the same name has this one's place in its group")]
    Fenced,
    /// Offsets that should be there are gone (retention, truncation).
    #[error("event log partition {partition} no longer holds offset {wanted}; it begins at {begins}")]
    Gone {
        /// Which partition.
        partition: u32,
        /// What was asked for.
        wanted: i64,
        /// First offset still there.
        begins: i64,
    },
}

/// Largest text of an intent: Kafka brokers keep at most 4,096 bytes beside an offset unless told otherwise.
pub const INTENT_BYTES: usize = 4_000;

/// What a group notes of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which partition.
    pub partition: u32,
    /// The group has done everything below.
    pub next: i64,
    /// What it is about to do from there on, in its own words, at most [`INTENT_BYTES`]; its next owner is told.
    pub intent: Option<String>,
}

/// What a subscription delivers, in order per partition.
#[derive(Debug)]
pub enum Delivery {
    /// This member now owns the partition. `next` is the group's committed offset, if any. The reader must answer with
    /// [`Subscription::start`] before records of it come.
    Assigned {
        /// Which partition.
        partition: u32,
        /// First offset not yet committed by the group.
        next: Option<i64>,
        /// What the group was about to do from there on, if it said so and has not said that it is done.
        intent: Option<String>,
    },
    /// Records of one partition, in offset order, without holes.
    Batch {
        /// Which partition.
        partition: u32,
        /// At least one record.
        records: Vec<LogRecord>,
    },
    /// Nothing newer is in the log at this moment for this partition (sent once each time the end is reached).
    CaughtUp {
        /// Which partition.
        partition: u32,
        /// The offset the next record will have.
        next: i64,
    },
    /// This member no longer owns the partition; whatever is buffered of it is void.
    Revoked {
        /// Which partition.
        partition: u32,
    },
}

/// The log as a writer and administrator sees it.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// How many partitions there are; fixed for the life of the log.
    fn partitions(&self) -> u32;

    /// Which log this is: another one, even under the same name and address, has other offsets and another identity.
    fn identity(&self) -> &str;

    /// Stores `bytes` under `key` and returns once it is durable. The partition follows from the key alone (murmur2, as other
    /// Kafka clients do), for both adapters.
    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError>;

    /// Stores records of one key, none ahead of the one before it: how many of them, from the first on, are durable, and why the next one is not,
    /// if one is not. Of those behind it nobody knows; whoever goes on with the first that is not durable hands them over again.
    async fn append_in_order(&self, key: &str, records: &[Bytes]) -> (usize, Option<AppendError>) {
        for (stored, bytes) in records.iter().enumerate() {
            if let Err(error) = self.append(key, bytes.clone()).await {
                return (stored, Some(error));
            }
        }
        (records.len(), None)
    }

    /// Joins a group. One subscription is one member; the adapter decides which partitions it gets.
    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError>;

    /// First offset still there and the offset the next record will have.
    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError>;

    /// First offset whose record was appended at or after `at`; the end when there is none.
    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError>;

    /// Reads up to `max` records from `from`, outside any group (replay, raw views).
    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError>;

    /// The group's committed next offset per partition.
    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError>;

    /// Opens the compacted topic of this name beside the log, making it on first use; it has as many partitions as the log.
    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        Err(LogError::Misconfigured(format!("this log keeps no topic {name} beside it")))
    }

    /// Cheap check for readiness: can we append now?
    async fn healthy(&self) -> Result<(), LogError>;

    /// Hands over what is still in flight and ends the client; appends fail afterwards.
    async fn close(&self);
}

/// [`EventLog::append_in_order`] for adapters that store appends of one key in the order in which they are begun: all are on the way at once, and
/// share batches and flushes.
async fn append_at_once(log: &dyn EventLog, key: &str, records: &[Bytes]) -> (usize, Option<AppendError>) {
    let appends = join_all(records.iter().map(|bytes| log.append(key, bytes.clone()))).await;
    for (stored, outcome) in appends.into_iter().enumerate() {
        if let Err(error) = outcome {
            return (stored, Some(error));
        }
    }
    (records.len(), None)
}

/// How a note ends, once it is awaited.
pub type Marking = BoxFuture<'static, Result<(), LogError>>;

/// One member of a group.
#[async_trait]
pub trait Subscription: Send + 'static {
    /// Waits for the next delivery. Cancel-safe: dropping the future loses nothing.
    async fn next(&mut self) -> Result<Delivery, LogError>;

    /// Begins (or moves) delivery of an assigned partition at `offset`. [`LogError::Unavailable`] if it has been taken away meanwhile; that it is
    /// revoked is delivered next.
    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError>;

    /// Stops delivery of a partition until [`Subscription::resume`]; used as back-pressure.
    fn pause(&mut self, partition: u32);

    /// Goes on where it was paused.
    fn resume(&mut self, partition: u32);

    /// Notes durably, all together or not at all, what the group has done and is about to do. Only the owner of a partition can. The answer
    /// can be waited for beside [`Subscription::next`]: while members come and go it may take seconds, and deliveries need not. Of two that are
    /// on their way at the same time nobody knows which one counts in the end.
    fn mark(&mut self, marks: &[Mark]) -> Marking;

    /// Notes durably that the group has done everything below `next`.
    fn commit(&mut self, partition: u32, next: i64) -> Marking {
        let intent = None;
        self.mark(&[Mark { partition, next, intent }])
    }

    /// Leaves the group.
    async fn close(self: Box<Self>);
}
