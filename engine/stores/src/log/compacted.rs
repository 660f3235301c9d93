//! A topic beside the log that keeps the newest value of each key, partition by partition.
//!
//! One process at a time may write a partition: the one that claimed it last. What an earlier owner still writes has no effect. Where the
//! store itself can refuse it, it does ([`PutError::Stale`]); where it cannot, whoever reads is told ([`Kept::late`]).

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::LogError;

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Which key; not empty.
    pub key: Vec<u8>,
    /// Its value from now on; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which key.
    pub key: Bytes,
    /// Its value; `None`: it was removed.
    pub value: Option<Bytes>,
    /// Written by an owner after another had claimed the partition; it may have taken the place of a newer value.
    pub late: bool,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Another process has claimed the partition.
    #[error("partition {0} has another owner by now")]
    Stale(u32),
    /// The store is away or set up wrongly; some of it may have been written.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What [`CompactedTopic::read`] gives: some keys at a time, each once.
pub type Reading = mpsc::Receiver<Result<Vec<Kept>, LogError>>;

/// What came of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Which partition.
    pub partition: u32,
    /// Some keys, in the order of their writing. A key may come several times; the last counts.
    pub kept: Vec<Kept>,
    /// With these, everything has come that was there when following began; said once.
    pub current: bool,
}

/// What [`CompactedTopic::follow`] gives. It ends with an error; then it has to be begun anew.
pub type Following = mpsc::Receiver<Result<Followed, LogError>>;

/// The topic, as its writers and readers see it.
#[async_trait]
pub trait CompactedTopic: Send + Sync + 'static {
    /// Takes a partition over: from now on what earlier owners write has no effect. Gives the epoch, which is greater than every one
    /// before.
    async fn claim(&self, partition: u32) -> Result<i64, LogError>;

    /// Writes in this order, each key once, under the epoch of a claim; returns once all of it will be read by whoever claims the
    /// partition next.
    async fn put(&self, partition: u32, epoch: i64, puts: Vec<Put>) -> Result<(), PutError>;

    /// Reads everything that was written before the claim that gave `epoch`.
    async fn read(&self, partition: u32, epoch: i64) -> Result<Reading, LogError>;

    /// Reads what these partitions hold, and every change from then on, until the receiver is dropped. Claims nothing. A value that was
    /// written over before it was read may be left out; a removed key may be told of some seconds late.
    async fn follow(&self, partitions: &[u32]) -> Result<Following, LogError> {
        Err(LogError::Misconfigured(format!(
            "this topic cannot be followed ({} partitions)",
            partitions.len()
        )))
    }
}
