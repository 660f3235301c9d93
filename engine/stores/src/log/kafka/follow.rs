//! Reads partitions of a compacted topic and goes on reading: what was there, then every change as it comes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::compacted::{CLAIM, written_under};
use super::topic::away;
use super::voice::Voice;
use crate::log::LogError;
use crate::log::compacted::{Followed, Kept};

/// Keys given on at once; what has come is given on sooner when nothing more comes.
const AT_ONCE: usize = 512;
/// Longest wait for the next record before what has come is given on.
const IDLE_WAIT: Duration = Duration::from_millis(20);

type Sender = mpsc::Sender<Result<Followed, LogError>>;

/// Assigns the partitions by hand, from their beginnings.
pub(super) fn begin(consumer: &BaseConsumer<Voice>, topic: &str, partitions: &[u32]) -> Result<(), LogError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        let number = i32::try_from(*partition).unwrap_or(i32::MAX);
        list.add_partition_offset(topic, number, Offset::Beginning)
            .map_err(|error| away(&error))?;
    }
    consumer.assign(&list).map_err(|error| away(&error))
}

/// Sends what comes until nobody listens any more. Blocks.
pub(super) fn send_on(consumer: &BaseConsumer<Voice>, partitions: &[u32], sender: &Sender) {
    let mut portions: HashMap<u32, Vec<Kept>> = HashMap::new();
    let mut claims: HashMap<u32, i64> = HashMap::new();
    let mut behind: HashSet<u32> = partitions.iter().copied().collect();
    let mut waiting = 0;
    while !sender.is_closed() {
        match consumer.poll(IDLE_WAIT) {
            Some(Ok(message)) => {
                let partition = message.partition().unsigned_abs();
                let key = message.key().unwrap_or_default();
                if key.starts_with(CLAIM) {
                    claims.insert(partition, message.offset());
                    continue;
                }
                let claim = claims.get(&partition).copied().unwrap_or(i64::MIN);
                portions.entry(partition).or_default().push(Kept {
                    key: Bytes::copy_from_slice(key),
                    value: message.payload().map(Bytes::copy_from_slice),
                    late: written_under(&message) < claim,
                });
                waiting += 1;
                if waiting < AT_ONCE {
                    continue;
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let partition = partition.unsigned_abs();
                let kept = portions.remove(&partition).unwrap_or_default();
                let current = behind.remove(&partition);
                waiting -= kept.len();
                if (current || !kept.is_empty()) && sender.blocking_send(Ok(Followed { partition, kept, current })).is_err() {
                    return;
                }
                continue;
            }
            Some(Err(error)) => {
                let _ = sender.blocking_send(Err(away(&error)));
                return;
            }
            None => {}
        }
        waiting = 0;
        for (partition, kept) in portions.drain() {
            let current = false;
            if sender.blocking_send(Ok(Followed { partition, kept, current })).is_err() {
                return;
            }
        }
    }
}
