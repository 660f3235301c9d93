//! The newest values of keys in a compacted topic.
//!
//! A claim is a record, and its offset is the epoch: unique and growing, without anybody else to ask (rule D12). Every value carries the epoch
//! it was written under, so a reader sees which were written after a later claim. Claims are kept, each under a key of its own, because
//! without them nobody could tell.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::follow;
use super::settings::{self, KafkaOptions};
use super::topic::{self, Purpose, away, unusable};
use super::voice::Voice;
use super::writer::{OnTheWay, Writer};
use crate::log::compacted::{CompactedTopic, Following, Kept, Put, PutError, Reading};
use crate::log::{AppendError, LogError};

/// Name of the header that holds the epoch: eight bytes, big endian.
const EPOCH: &str = "epoch";

/// What keys of claims begin with; keys of values never begin so.
pub(super) const CLAIM: &[u8] = b"\0claim ";

/// Longest wait for the next record of a topic that is known to go on.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Keys given to a reader at once.
const AT_ONCE: usize = 512;

/// Portions that may wait for a reader.
const WAITING: usize = 4;

/// A group of this name never forms: its reader is assigned by hand and commits nothing.
const GROUP: &str = "trunkline-values";

/// One topic.
pub(super) struct Values {
    topic: String,
    options: KafkaOptions,
    writer: Arc<Writer>,
    /// One for all partitions, one after the other: to make a client and connect takes longer than to read.
    consumer: Arc<Mutex<BaseConsumer<Voice>>>,
}

impl Values {
    /// Makes the topic when it is missing, and refuses one that would lose values. Blocks.
    pub fn open(options: KafkaOptions) -> Result<Values, LogError> {
        topic::ensure(&options, Purpose::Values)?;
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
        })
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
        let epoch = epoch.to_be_bytes();
        let hand_over = |put: &Put| {
            let header = Header {
                key: EPOCH,
                value: Some(epoch.as_slice()),
            };
            self.writer.store(partition, &put.key, put.value.as_deref(), Some(header))
        };
        // All are on their way before the first is waited for: one order, one round trip.
        let handed_over: Vec<Result<OnTheWay, AppendError>> = puts.iter().map(hand_over).collect();
        for record in handed_over {
            record.map_err(unwritten)?.stored().await.map_err(unwritten)?;
        }
        Ok(())
    }

    async fn read(&self, partition: u32, epoch: i64) -> Result<Reading, LogError> {
        let (sender, reading) = mpsc::channel(WAITING);
        let (consumer, topic) = (self.consumer.clone(), self.topic.clone());
        tokio::task::spawn_blocking(move || {
            let consumer = consumer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = send_all(&consumer, &topic, partition, epoch, &sender) {
                // Nobody there to hear it: the reader has gone.
                let _ = sender.blocking_send(Err(error));
            }
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

fn unwritten(error: AppendError) -> LogError {
    match error {
        AppendError::TooLarge { .. } => LogError::Misconfigured(format!("a value is not taken by Kafka: {error}")),
        error => LogError::Unavailable(format!("a value was not written to Kafka: {error}")),
    }
}

/// Reads the partition from its beginning to the claim. Blocks.
fn send_all(
    consumer: &BaseConsumer<Voice>,
    topic: &str,
    partition: u32,
    claim: i64,
    sender: &mpsc::Sender<Result<Vec<Kept>, LogError>>,
) -> Result<(), LogError> {
    let number = i32::try_from(partition).unwrap_or(i32::MAX);
    let (begins, _) = consumer
        .fetch_watermarks(topic, number, ANSWER_WAIT_MAX)
        .map_err(|error| away(&error))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number, Offset::Offset(begins))
        .map_err(|error| away(&error))?;
    consumer.assign(&list).map_err(|error| away(&error))?;
    let mut deadline = Instant::now() + ANSWER_WAIT_MAX;
    let mut portion = Vec::with_capacity(AT_ONCE);
    let mut newest_claim = i64::MIN;
    loop {
        let message = match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) | None if Instant::now() < deadline => continue,
            Some(Err(error)) if Instant::now() < deadline => {
                tracing::debug!(%error, "reading values from Kafka");
                continue;
            }
            _ => return Err(LogError::Unavailable("Kafka does not send the values".into())),
        };
        // Of a partition that was read before.
        if message.partition().unsigned_abs() != partition {
            continue;
        }
        deadline = Instant::now() + ANSWER_WAIT_MAX;
        let key = message.key().unwrap_or_default();
        if key.starts_with(CLAIM) {
            newest_claim = message.offset();
        } else {
            portion.push(Kept {
                key: Bytes::copy_from_slice(key),
                value: message.payload().map(Bytes::copy_from_slice),
                late: written_under(&message) < newest_claim,
            });
        }
        let done = message.offset() >= claim;
        if done || portion.len() == AT_ONCE {
            let is_heard = sender.blocking_send(Ok(std::mem::take(&mut portion))).is_ok();
            if done || !is_heard {
                return consumer.unassign().map_err(|error| away(&error));
            }
        }
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
