//! Reads a partition of a compacted topic up to a claim: from this node's own copy and what is newer than it, or else all of the topic.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::bindings::rd_kafka_message_leader_epoch;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::compacted::{ANSWER_WAIT_MAX, CLAIM, written_under};
use super::mirror::{Frame, Loaded, Mirror, Run, Values, What};
use super::topic::away;
use super::voice::Voice;
use crate::log::LogError;
use crate::log::compacted::Kept;

/// Where to read, and up to which claim.
pub(super) struct Takeover<'a> {
    pub consumer: &'a Mutex<BaseConsumer<Voice>>,
    pub topic: &'a str,
    pub mirror: Option<&'a Mirror>,
    pub partition: u32,
    pub claim: i64,
}

impl Takeover<'_> {
    /// The newest value of each key. Blocks.
    pub fn read(&self) -> Result<Vec<Kept>, LogError> {
        if let Some(mirror) = self.mirror {
            let loaded = mirror.load(self.partition);
            let outcome = if loaded.is_some() { "refused" } else { "none" };
            if let Some(values) = loaded.map(|loaded| self.with_newer(mirror, loaded)).transpose()?.flatten() {
                count("used");
                return Ok(values.kept());
            }
            count(outcome);
            mirror.leave(self.partition);
        }
        self.of_topic()
    }

    /// The copy and what came behind it; `None` when the copy may not be used.
    fn with_newer(&self, mirror: &Mirror, loaded: Loaded) -> Result<Option<Values>, LogError> {
        let Loaded {
            mut values,
            through,
            leader_epoch,
        } = loaded;
        if through >= self.claim {
            // The broker has lost what the copy holds.
            return Ok(None);
        }
        let mut run = Run::from(through + 1);
        let mut last = None;
        let is_whole = self.consume(&self.consumer(), through + 1, |frame| {
            run.add(&frame);
            last = leader_epoch_of(&frame);
            values.take(frame);
        })?;
        if !is_whole || last != Some(leader_epoch) {
            return Ok(None);
        }
        mirror.extend(self.partition, run);
        Ok(Some(values))
    }

    /// All of the topic, which begins the copy anew.
    fn of_topic(&self) -> Result<Vec<Kept>, LogError> {
        let consumer = self.consumer();
        let (begins, _) = consumer
            .fetch_watermarks(self.topic, self.number(), ANSWER_WAIT_MAX)
            .map_err(|error| away(&error))?;
        let (mut run, mut values, mut last) = (Run::from(begins), Values::default(), None);
        let is_whole = self.consume(&consumer, begins, |frame| {
            if self.mirror.is_some() {
                run.add(&frame);
            }
            last = leader_epoch_of(&frame);
            values.take(frame);
        })?;
        drop(consumer);
        if !is_whole {
            return Err(LogError::Unavailable("Kafka has dropped the beginning of the values".into()));
        }
        if let Some(mirror) = self.mirror.filter(|_| last.is_some()) {
            mirror.replace(self.partition, &run);
        }
        Ok(values.kept())
    }

    /// One for all partitions, one after the other: to make a client and connect takes longer than to read.
    fn consumer(&self) -> MutexGuard<'_, BaseConsumer<Voice>> {
        self.consumer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    /// Gives on the records from `from` to the claim; false when the topic does not begin so early.
    fn consume(&self, consumer: &BaseConsumer<Voice>, from: i64, mut give: impl FnMut(Frame)) -> Result<bool, LogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, self.number(), Offset::Offset(from))
            .map_err(|error| away(&error))?;
        consumer.assign(&list).map_err(|error| away(&error))?;
        let mut deadline = Instant::now() + ANSWER_WAIT_MAX;
        let mut begins_later = false;
        loop {
            let message = match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    begins_later = true;
                    break;
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None if Instant::now() < deadline => continue,
                Some(Err(error)) if Instant::now() < deadline => {
                    tracing::debug!(%error, "reading values from Kafka");
                    continue;
                }
                _ => return Err(LogError::Unavailable("Kafka does not send the values".into())),
            };
            // Of a partition that was read before.
            if message.partition() != self.number() {
                continue;
            }
            deadline = Instant::now() + ANSWER_WAIT_MAX;
            give(frame_of(&message));
            if message.offset() >= self.claim {
                break;
            }
        }
        consumer.unassign().map_err(|error| away(&error))?;
        Ok(!begins_later)
    }
}

fn frame_of(message: &BorrowedMessage<'_>) -> Frame {
    let key = message.key().unwrap_or_default();
    let epoch = || written_under(message);
    let what = match message.payload() {
        // SAFETY: the message lives, and the client that gave it is a consumer.
        _ if key.starts_with(CLAIM) => What::Claim {
            leader_epoch: unsafe { rd_kafka_message_leader_epoch(message.ptr()) },
        },
        Some(value) => What::Value {
            epoch: epoch(),
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
        },
        None => What::Removed {
            epoch: epoch(),
            key: Bytes::copy_from_slice(key),
        },
    };
    Frame {
        offset: message.offset(),
        what,
    }
}

/// The epoch of the partition's leader, where it is known: at a claim.
fn leader_epoch_of(frame: &Frame) -> Option<i32> {
    match frame.what {
        What::Claim { leader_epoch } => Some(leader_epoch),
        _ => None,
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("trunkline_checkpoint_mirror_total", "outcome" => outcome).increment(1);
}
