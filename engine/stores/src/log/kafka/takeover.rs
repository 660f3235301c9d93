//! Reads a partition of a compacted topic up to a claim: from this node's own copy and what is newer than it, or else all of the topic.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::bindings::rd_kafka_message_leader_epoch;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::compacted::{ANSWER_WAIT_MAX, CLAIM, written_under};
use super::mirror::{Frame, Loaded, Mirror, Run, What};
use super::topic::away;
use super::voice::Voice;
use crate::log::LogError;
use crate::log::compacted::Kept;

/// Keys given to a reader at once.
const AT_ONCE: usize = 512;

/// Portions that may wait for a reader.
pub(super) const WAITING: usize = 4;

type Sender = mpsc::Sender<Result<Vec<Kept>, LogError>>;

/// Where to read, and up to which claim.
pub(super) struct Takeover<'a> {
    pub consumer: &'a Mutex<BaseConsumer<Voice>>,
    pub topic: &'a str,
    pub mirror: Option<&'a Mirror>,
    pub partition: u32,
    pub claim: i64,
}

/// Tells which values were written too late, and gives them on in portions.
struct Telling<'a> {
    sender: &'a Sender,
    newest_claim: i64,
    portion: Vec<Kept>,
}

impl Telling<'_> {
    fn to(sender: &Sender) -> Telling<'_> {
        Telling {
            sender,
            newest_claim: i64::MIN,
            portion: Vec::with_capacity(AT_ONCE),
        }
    }

    /// False when nobody listens any more.
    fn tell(&mut self, frame: Frame) -> bool {
        let (epoch, key, value) = match frame.what {
            What::Value { epoch, key, value } => (epoch, key, Some(value)),
            What::Removed { epoch, key } => (epoch, key, None),
            What::Claim { .. } => {
                self.newest_claim = frame.offset;
                return true;
            }
            What::Through { .. } => return true,
        };
        self.portion.push(Kept {
            key,
            value,
            late: epoch < self.newest_claim,
        });
        self.portion.len() < AT_ONCE || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.sender.blocking_send(Ok(std::mem::take(&mut self.portion))).is_ok()
    }
}

impl Takeover<'_> {
    /// Sends what there is. Blocks.
    pub fn send_all(&self, sender: &Sender) -> Result<(), LogError> {
        let mut telling = Telling::to(sender);
        if let Some(mirror) = self.mirror {
            let loaded = mirror.load(self.partition);
            let outcome = if loaded.is_some() { "refused" } else { "none" };
            if let Some(frames) = loaded.map(|loaded| self.with_newer(mirror, loaded)).transpose()?.flatten() {
                count("used");
                // Whoever stops listening needs no more.
                let _ = frames.into_iter().all(|frame| telling.tell(frame)) && telling.flush();
                return Ok(());
            }
            count(outcome);
            mirror.leave(self.partition);
        }
        self.send_topic(&mut telling)
    }

    /// The copy and what came behind it; `None` when the copy may not be used.
    fn with_newer(&self, mirror: &Mirror, loaded: Loaded) -> Result<Option<Vec<Frame>>, LogError> {
        let Loaded {
            mut frames,
            through,
            leader_epoch,
        } = loaded;
        if through >= self.claim {
            // The broker has lost what the copy holds.
            return Ok(None);
        }
        let mut run = Run::from(through + 1);
        let is_whole = self.consume(&self.consumer(), through + 1, |frame| {
            run.add(&frame);
            frames.push(frame);
            true
        })?;
        let last = frames.last().map(|frame| (frame.offset, &frame.what));
        if !is_whole || last != Some((self.claim, &What::Claim { leader_epoch })) {
            return Ok(None);
        }
        mirror.extend(self.partition, run);
        Ok(Some(frames))
    }

    /// All of the topic, which begins the copy anew.
    fn send_topic(&self, telling: &mut Telling<'_>) -> Result<(), LogError> {
        let consumer = self.consumer();
        let (begins, _) = consumer
            .fetch_watermarks(self.topic, self.number(), ANSWER_WAIT_MAX)
            .map_err(|error| away(&error))?;
        let mut run = Run::from(begins);
        let mut ends_with_claim = false;
        let is_whole = self.consume(&consumer, begins, |frame| {
            if self.mirror.is_some() {
                run.add(&frame);
            }
            ends_with_claim = matches!(frame.what, What::Claim { .. });
            telling.tell(frame)
        })?;
        drop(consumer);
        if !is_whole {
            return Err(LogError::Unavailable("Kafka has dropped the beginning of the values".into()));
        }
        let is_heard = telling.flush();
        if let Some(mirror) = self.mirror.filter(|_| is_heard && ends_with_claim) {
            mirror.replace(self.partition, &run);
        }
        Ok(())
    }

    /// One for all partitions, one after the other: to make a client and connect takes longer than to read.
    fn consumer(&self) -> MutexGuard<'_, BaseConsumer<Voice>> {
        self.consumer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    /// Gives on the records from `from` to the claim until `give` says that nobody listens; false when the topic does not begin so early.
    fn consume(&self, consumer: &BaseConsumer<Voice>, from: i64, mut give: impl FnMut(Frame) -> bool) -> Result<bool, LogError> {
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
            if !give(frame_of(&message)) || message.offset() >= self.claim {
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

fn count(outcome: &'static str) {
    metrics::counter!("trunkline_checkpoint_mirror_total", "outcome" => outcome).increment(1);
}
