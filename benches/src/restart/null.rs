//! The price of coming back at all: a consumer with a static name that reads the same number of events to the end and does nothing with them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::Word;
use super::place::Where;
use crate::topic::PARTITIONS;

/// Longest wait for the broker.
const PATIENCE: Duration = Duration::from_secs(60);

/// `null-node`: the process beside which the live node is measured.
#[derive(Debug, Args)]
pub struct NullNode {
    #[command(flatten)]
    place: Where,
    /// Events to read from the end, over all partitions.
    #[arg(long)]
    events: i64,
}

impl NullNode {
    /// Joins, reads to the end, says so, and goes on polling until it is killed.
    pub fn run(self) -> Result<()> {
        let brokers = self.place.brokers.as_deref().context("there is a null consumer of Kafka only")?;
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("group.id", format!("{}.null", self.place.topic))
            .set("group.instance.id", "null")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "latest")
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.wait.max.ms", "100");
        let consumer = BaseConsumer::from_config(&config)?;
        consumer.subscribe(&[&self.place.topic])?;
        let deadline = Instant::now() + PATIENCE;
        while consumer.assignment()?.count() < PARTITIONS as usize {
            // What comes before it has its place is read again.
            consumer.poll(Duration::from_millis(1));
            ensure!(Instant::now() < deadline, "no partitions were assigned");
        }
        let mut places = TopicPartitionList::new();
        let back = self.events / i64::from(PARTITIONS);
        for partition in 0..PARTITIONS {
            let (low, high) = consumer.fetch_watermarks(&self.place.topic, partition, PATIENCE)?;
            places.add_partition_offset(&self.place.topic, partition, Offset::Offset((high - back).max(low)))?;
        }
        consumer.seek_partitions(places, PATIENCE)?;
        let mut at_end = vec![false; PARTITIONS as usize];
        let mut said = false;
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Err(KafkaError::PartitionEOF(partition))) => at_end[partition.unsigned_abs() as usize] = true,
                Some(Err(error)) => return Err(error).context("read"),
                Some(Ok(_)) | None => {}
            }
            if !said && at_end.iter().all(|end| *end) {
                said = true;
                println!("{}", serde_json::to_string(&Word::Kept)?);
            }
        }
    }
}
