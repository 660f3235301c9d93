//! A log as one run sees it: groups and topics of its own, and, if wanted, a facts group whose intents are noted nowhere.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_core::instant::Millis;
use trunkline_stores::log::{AppendError, CompactedTopic, Delivery, EventLog, LogError, LogRecord, Mark, Marking, Position, Subscription};

/// The log of one run.
pub(super) struct OfRun {
    /// The log itself.
    pub inner: Arc<dyn EventLog>,
    /// Told from other runs by this.
    pub run: String,
    /// Whether intents are noted.
    pub intents: bool,
}

/// A member that forgets intents.
struct Forgetful(Box<dyn Subscription>);

impl OfRun {
    fn own(&self, name: &str) -> String {
        format!("{name}.{}", self.run)
    }
}

#[async_trait]
impl EventLog for OfRun {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn identity(&self) -> &str {
        self.inner.identity()
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        self.inner.append(key, bytes).await
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        let member = self.inner.subscribe(&self.own(group)).await?;
        Ok(match self.intents {
            true => member,
            false => Box::new(Forgetful(member)),
        })
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        self.inner.span(partition).await
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        self.inner.offset_at(partition, at).await
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        self.inner.read(partition, from, max).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        self.inner.committed(&self.own(group)).await
    }

    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        self.inner.compacted(&self.own(name)).await
    }

    async fn healthy(&self) -> Result<(), LogError> {
        self.inner.healthy().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Subscription for Forgetful {
    async fn next(&mut self) -> Result<Delivery, LogError> {
        self.0.next().await
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        self.0.start(partition, offset).await
    }

    fn pause(&mut self, partition: u32) {
        self.0.pause(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.0.resume(partition);
    }

    fn mark(&mut self, marks: &[Mark]) -> Marking {
        // What is about to be done moves no position; what was done has no intent any more.
        let done: Vec<Mark> = marks.iter().filter(|mark| mark.intent.is_none()).cloned().collect();
        match done.is_empty() {
            true => Box::pin(std::future::ready(Ok(()))),
            false => self.0.mark(&done),
        }
    }

    async fn close(self: Box<Self>) {
        self.0.close().await;
    }
}
