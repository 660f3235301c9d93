//! Records in their order: takes only the one that is due, and moves a partition to where it shall go on.

use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use trunkline_core::instant::Millis;

use super::rebalance::Ear;
use crate::log::{LogError, LogRecord, Position};

/// Longest wait for the client's own thread.
const SEEK_WAIT_MAX: Duration = Duration::from_secs(2);

/// Takes a record if it is the next one. What came before is skipped; a hole stops the partition until its reader decides (CO-10).
pub(super) fn accept(
    partition: u32,
    expected: &mut Option<i64>,
    message: &impl Message,
    records: &mut Vec<LogRecord>,
) -> Result<(), LogError> {
    let (Some(next), offset) = (*expected, message.offset()) else {
        return Ok(());
    };
    if offset < next {
        return Ok(());
    }
    if offset > next {
        *expected = None;
        return Err(LogError::Gone {
            partition,
            wanted: next,
            begins: offset,
        });
    }
    records.push(record(partition, message));
    *expected = Some(next + 1);
    Ok(())
}

/// A record as the port gives it.
pub(super) fn record(partition: u32, message: &impl Message) -> LogRecord {
    LogRecord {
        position: Position {
            partition,
            offset: message.offset(),
        },
        appended_at: Millis(message.timestamp().to_millis().unwrap_or_default()),
        bytes: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

/// Moves a partition to `offset` and lets it go on. Seeking is for partitions that are being read; one that has stopped by
/// itself (its offset was gone) is assigned again.
pub(super) fn place(consumer: &BaseConsumer<Ear>, topic: &str, number: i32, offset: i64) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number, Offset::Offset(offset))?;
    consumer.pause(&list)?;
    if let Err(error) = consumer.seek(topic, number, Offset::Offset(offset), SEEK_WAIT_MAX) {
        tracing::debug!(%error, partition = number, "assigning the partition again instead of seeking");
        consumer.incremental_unassign(&list)?;
        consumer.incremental_assign(&list)?;
    }
    consumer.resume(&list)
}
