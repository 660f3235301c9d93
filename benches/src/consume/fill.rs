//! Fills a topic with the stored records of whole calls, interleaved as they would come.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use trunkline_core::door;
use trunkline_core::record::Source;

use crate::directory::{TENANT, WORKSPACE};
use crate::{sample, topic};

/// One start, eight growing transcripts, one end.
pub const EVENTS_PER_CALL: usize = 10;

/// Calls in progress at the same time.
const OPEN_CALLS: usize = 1_000;

/// Makes `topic` and writes all events of `calls` calls whose transcripts grow to about `size` bytes; nothing if it is there.
pub async fn fill(brokers: &str, name: &str, calls: usize, size: usize) -> Result<()> {
    if topic::is_filled(brokers, name).await? {
        return Ok(());
    }
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .create()
        .context("make a producer")?;
    for first in (0..calls).step_by(OPEN_CALLS) {
        for step in 0..EVENTS_PER_CALL {
            for call in first..(first + OPEN_CALLS).min(calls) {
                let body = match step {
                    0 => sample::started(call),
                    9 => sample::ended(call, size),
                    _ => sample::updated(call, step, size),
                };
                send(&producer, name, body)?;
            }
        }
    }
    producer.flush(Duration::from_secs(60)).context("write the last events")
}

fn send(producer: &BaseProducer, name: &str, body: Bytes) -> Result<()> {
    let (routed, body) = door::route(body);
    let record = door::record(routed, body, sample::clock(), TENANT, WORKSPACE, Source::Webhook);
    let stored = record.encode();
    loop {
        match producer.send(BaseRecord::to(name).key(&record.header.key).payload(&stored[..])) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(20));
            }
            Err((error, _)) => return Err(error).context("write an event"),
        }
    }
}
