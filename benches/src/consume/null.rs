//! A consumer that only counts: what librdkafka itself costs.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Done;
use crate::{cpu, topic};

/// Longest wait for the broker.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the whole topic.
pub fn read(brokers: &str, name: &str) -> Result<Done> {
    let mut bytes = 0;
    let (events, cpu_ms) = each(brokers, name, |_, payload| {
        bytes += payload.len();
        Ok(())
    })?;
    std::hint::black_box(bytes);
    Ok(Done {
        events,
        cpu_ms,
        offered: None,
    })
}

/// Hands every record from the beginning to today's end to `take` (partition and payload); returns how many there were and the CPU
/// time in milliseconds from the first on.
pub fn each(brokers: &str, name: &str, mut take: impl FnMut(i32, &[u8]) -> Result<()>) -> Result<(u64, u64)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        // The default of a second stalls the reader whenever its queue was full.
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .context("make a consumer")?;
    let mut wanted = 0;
    let mut list = TopicPartitionList::new();
    for partition in 0..topic::PARTITIONS {
        let (low, high) = consumer
            .fetch_watermarks(name, partition, PATIENCE)
            .context("ask for the topic's span")?;
        wanted += (high - low) as u64;
        list.add_partition_offset(name, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut events = 0;
    let mut begun = None;
    while events < wanted {
        let message = consumer
            .poll(PATIENCE)
            .context("the broker sends nothing")?
            .context("read a message")?;
        if begun.is_none() {
            begun = Some(cpu::used(std::process::id())?);
        }
        take(message.partition(), message.payload().unwrap_or_default())?;
        events += 1;
    }
    let used = cpu::used(std::process::id())?.saturating_sub(begun.unwrap_or_default());
    Ok((events, used.as_millis() as u64))
}
