//! Topics of the benches: made with the same partitions for every side, filled once, read from the beginning.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::{EventLog, LogError};

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
        let (low, high) = span(&log, partition).await?;
        filled |= high > low;
    }
    log.close().await;
    Ok(filled)
}

/// Longest wait for the leaders of a topic that was made a moment ago.
const LEADERS_WITHIN: Duration = Duration::from_secs(30);

/// The partition's span, as soon as it has a leader.
async fn span(log: &KafkaLog, partition: u32) -> Result<(i64, i64), LogError> {
    let deadline = Instant::now() + LEADERS_WITHIN;
    loop {
        match log.span(partition).await {
            Err(LogError::Unavailable(_)) if Instant::now() < deadline => sleep(Duration::from_millis(100)).await,
            answer => return answer,
        }
    }
}
