//! Topics of the benches: made with the same partitions for every side, filled once, read from the beginning.

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists;

/// Partitions of every bench topic.
pub const PARTITIONS: i32 = 12;

/// Makes a topic if it is not there; true if it was not.
pub async fn make(brokers: &str, name: &str) -> Result<bool> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .context("make an administrator's client")?;
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
    let made = admin
        .create_topics(&[topic], &AdminOptions::new())
        .await
        .with_context(|| format!("create topic {name}"))?;
    match made.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => bail!("create topic {name}: {code}"),
        None => bail!("create topic {name}: no answer"),
    }
}
