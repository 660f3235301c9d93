//! The newest values of keys in a compacted topic.
//!
//! A claim is a record, and its offset is the epoch: unique and growing, without anybody else to ask (rule D12). Every value carries the epoch
//! it was written under, so a reader sees which were written after a later claim. Claims are kept, each under a key of its own, because
//! without them nobody could tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _};
use tokio::sync::mpsc;

use super::follow;
use super::mirror::{Frame, Mirror, Run, What};
use super::settings::{self, KafkaOptions};
use super::takeover::Takeover;
use super::topic::{self, Purpose, away, unusable};
use super::voice::Voice;
use super::writer::{OnTheWay, Writer};
use crate::log::compacted::{CompactedTopic, Following, Put, PutError, Reading};
use crate::log::{AppendError, LogError};

/// Name of the header that holds the epoch: eight bytes, big endian.
const EPOCH: &str = "epoch";

/// What keys of claims begin with; keys of values never begin so.
pub(super) const CLAIM: &[u8] = b"\0claim ";

/// Longest wait for the next record of a topic that is known to go on.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Portions that may wait for a follower.
const WAITING: usize = 4;

/// A group of this name never forms: its reader is assigned by hand and commits nothing.
const GROUP: &str = "trunkline-values";

/// One topic.
pub(super) struct Values {
    topic: String,
    options: KafkaOptions,
    writer: Arc<Writer>,
    consumer: Arc<Mutex<BaseConsumer<Voice>>>,
    mirror: Option<Arc<Mirror>>,
}

impl Values {
    /// Makes the topic when it is missing, and refuses one that would lose values. Blocks.
    pub fn open(options: KafkaOptions) -> Result<Values, LogError> {
        let identity = topic::ensure(&options, Purpose::Values)?;
        let mirrored = |directory| Mirror::open(directory, &options.topic, &identity, options.partitions);
        let mirror = options.mirror.as_deref().and_then(mirrored).map(Arc::new);
        let writer = Arc::new(Writer::new(options.clone(), Purpose::Values)?);
        let mut config = settings::consumer(&options, GROUP)?;
        // A partition that is read next waits for the fetch that finds nothing more of the one before.
        config.set("fetch.wait.max.ms", "5");
        let consumer: BaseConsumer<Voice> = BaseConsumer::from_config_and_context(&config, Voice).map_err(|error| unusable(&error))?;
        // Else the first reader waits for the client to learn where the partitions are.
        consumer
            .fetch_metadata(Some(&options.topic), ANSWER_WAIT_MAX)
            .map_err(|error| away(&error))?;
        Ok(Values {
            topic: options.topic.clone(),
            options,
            writer,
            consumer: Arc::new(Mutex::new(consumer)),
            mirror,
        })
    }

    /// Notes in this node's copy what has been stored.
    fn note(&self, partition: u32, run: Option<Run>) {
        if let (Some(mirror), Some(run)) = (&self.mirror, run) {
            mirror.note(partition, run);
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // What is in flight was awaited by whoever wrote it; ending the client waits for its threads.
        let writer = self.writer.clone();
        std::thread::spawn(move || writer.close());
    }
}

#[async_trait]
impl CompactedTopic for Values {
    async fn claim(&self, partition: u32) -> Result<i64, LogError> {
        let key = [CLAIM, uuid::Uuid::now_v7().as_bytes()].concat();
        let claimed = match self.writer.store(partition, &key, Some(b""), None) {
            Ok(claim) => claim.stored().await,
            Err(error) => Err(error),
        };
        Ok(claimed.map_err(unwritten)?.offset)
    }

    async fn put(&self, partition: u32, epoch: i64, puts: Vec<Put>) -> Result<(), PutError> {
        let header = epoch.to_be_bytes();
        let hand_over = |put: &Put| {
            let header = Header {
                key: EPOCH,
                value: Some(header.as_slice()),
            };
            self.writer.store(partition, &put.key, put.value.as_deref(), Some(header))
        };
        // All are on their way before the first is waited for: one order, one round trip.
        let handed_over: Vec<Result<OnTheWay, AppendError>> = puts.iter().map(hand_over).collect();
        let mut run: Option<Run> = None;
        for (put, record) in puts.into_iter().zip(handed_over) {
            let offset = record.map_err(unwritten)?.stored().await.map_err(unwritten)?.offset;
            if self.mirror.is_none() {
                continue;
            }
            if run.as_ref().is_some_and(|run| !run.is_next(offset)) {
                self.note(partition, run.take());
            }
            run.get_or_insert_with(|| Run::from(offset)).add(&frame(offset, epoch, put));
        }
        self.note(partition, run);
        Ok(())
    }

    async fn read(&self, partition: u32, epoch: i64) -> Result<Reading, LogError> {
        let (sender, reading) = mpsc::channel(1);
        let (consumer, mirror, topic) = (self.consumer.clone(), self.mirror.clone(), self.topic.clone());
        tokio::task::spawn_blocking(move || {
            let takeover = Takeover {
                consumer: &consumer,
                topic: &topic,
                mirror: mirror.as_deref(),
                partition,
                claim: epoch,
            };
            // Nobody there to hear it: the reader has gone.
            let _ = sender.blocking_send(takeover.read());
        });
        Ok(reading)
    }

    async fn follow(&self, partitions: &[u32]) -> Result<Following, LogError> {
        let (sender, following) = mpsc::channel(WAITING);
        let mut config = settings::consumer(&self.options, GROUP)?;
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "100");
        let (topic, partitions) = (self.topic.clone(), partitions.to_vec());
        // To make a client, to assign and to poll all block; and it polls as long as somebody listens.
        std::thread::Builder::new()
            .name("values".to_owned())
            .spawn(move || {
                let consumer: Result<BaseConsumer<Voice>, LogError> =
                    BaseConsumer::from_config_and_context(&config, Voice).map_err(|error| unusable(&error));
                let begun = consumer.and_then(|consumer| follow::begin(&consumer, &topic, &partitions).map(|()| consumer));
                match begun {
                    Ok(consumer) => follow::send_on(&consumer, &partitions, &sender),
                    Err(error) => drop(sender.blocking_send(Err(error))),
                }
            })
            .map_err(|error| LogError::Unavailable(format!("start a thread: {error}")))?;
        Ok(following)
    }
}

fn frame(offset: i64, epoch: i64, put: Put) -> Frame {
    let key = Bytes::from(put.key);
    let what = match put.value.map(Bytes::from) {
        Some(value) => What::Value { epoch, key, value },
        None => What::Removed { epoch, key },
    };
    Frame { offset, what }
}

fn unwritten(error: AppendError) -> LogError {
    match error {
        AppendError::TooLarge { .. } => LogError::Misconfigured(format!("a value is not taken by Kafka: {error}")),
        error => LogError::Unavailable(format!("a value was not written to Kafka: {error}")),
    }
}

/// The epoch of a record; without one it is of nobody we know, which is as good as late.
pub(super) fn written_under(message: &BorrowedMessage<'_>) -> i64 {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let epoch = headers
        .filter(|header| header.key == EPOCH)
        .find_map(|header| header.value?.try_into().ok());
    epoch.map_or(i64::MIN, i64::from_be_bytes)
}
