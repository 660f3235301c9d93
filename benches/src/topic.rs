//! Topics of the benches: made with the same partitions for every side, filled once, read from the beginning.

use anyhow::{Context, Result};
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};

/// Partitions of every bench topic.
pub const PARTITIONS: i32 = 12;

/// A log of ours in topic `name`.
pub fn options(brokers: &str, name: &str) -> KafkaOptions {
    KafkaOptions {
        partitions: PARTITIONS as u32,
        ..KafkaOptions::new(brokers, name)
    }
}

/// Makes topic `name` as our log wants it; true if there is something in it already.
pub async fn is_filled(brokers: &str, name: &str) -> Result<bool> {
    let log = KafkaLog::open(options(brokers, name))
        .await
        .with_context(|| format!("open topic {name}"))?;
    let mut filled = false;
    for partition in 0..log.partitions() {
        let (low, high) = log.span(partition).await?;
        filled |= high > low;
    }
    log.close().await;
    Ok(filled)
}
