//! The node that comes and goes, as a process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::KafkaLog;

use super::start;
use crate::directory::directory;
use crate::topic;

/// `member-node`
#[derive(Debug, Args)]
pub struct MemberNode {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    topic: String,
}

impl MemberNode {
    /// Says a word when it reads partitions and their boards are right; leaves in order when it is asked to.
    pub async fn run(self) -> Result<()> {
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let log: Arc<dyn EventLog> = Arc::new(KafkaLog::open(topic::options(&self.brokers, &self.topic)).await?);
        let (_keep, directory) = tokio::sync::watch::channel(Arc::new(directory()));
        let engine = start(&log, &directory)?;
        let live = engine.live();
        loop {
            let places = live.partitions();
            if !places.is_empty() && places.iter().all(|place| place.rebuilt) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("joined");
        ended.recv().await;
        engine.stop().await;
        log.close().await;
        Ok(())
    }
}
