//! The event log on Apache Kafka: for installations that outgrow one machine.
//!
//! Offsets are dense because the topic knows neither transactions nor compaction. An append is answered after all copies that
//! must have it have it ([`writer`]); readers share partitions by the broker's group protocol ([`subscription`]).

mod compacted;
mod follow;
mod identity;
mod member;
mod order;
mod reader;
mod rebalance;
mod settings;
mod subscription;
mod topic;
mod voice;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_core::instant::Millis;

pub use self::settings::{GroupProtocol, KafkaOptions};

use self::reader::Reader;
use self::subscription::KafkaSubscription;
use self::topic::Purpose;
use self::writer::Writer;
use super::{AppendError, CompactedTopic, EventLog, LogError, LogRecord, Position, Subscription};

/// The log in one topic.
pub struct KafkaLog {
    options: KafkaOptions,
    identity: String,
    writer: Arc<Writer>,
    reader: Arc<Reader>,
    closed: AtomicBool,
}

impl KafkaLog {
    /// Connects, makes the topic when it is missing, and refuses a topic or broker that would lose events.
    pub async fn open(options: KafkaOptions) -> Result<KafkaLog, LogError> {
        if options.partitions == 0 || options.replication == 0 {
            return Err(LogError::Misconfigured("a log has at least one partition and one copy".into()));
        }
        blocking(move || {
            let identity = topic::ensure(&options, Purpose::Log)?;
            let writer = Arc::new(Writer::new(options.clone(), Purpose::Log)?);
            let reader = Arc::new(Reader::new(options.clone())?);
            Ok(KafkaLog {
                options,
                identity,
                writer,
                reader,
                closed: AtomicBool::new(false),
            })
        })
        .await
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Reader) -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(LogError::Unavailable("it has been closed".into()));
        }
        let reader = self.reader.clone();
        blocking(move || question(&reader)).await
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    fn partitions(&self) -> u32 {
        self.options.partitions
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        self.writer.append(key, &bytes).await
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        let (options, group) = (self.options.clone(), group.to_owned());
        let joined = self.ask(move |_| KafkaSubscription::join(&options, &group)).await?;
        Ok(Box::new(joined))
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        self.ask(move |reader| reader.span(partition)).await
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        self.ask(move |reader| reader.offset_at(partition, at)).await
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        self.ask(move |reader| reader.read(partition, from, max)).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        let group = group.to_owned();
        self.ask(move |reader| reader.committed(&group)).await
    }

    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        // Topics are known to the whole broker; two installations on it must not share one.
        let options = KafkaOptions {
            topic: format!("{}.{name}", self.options.topic),
            ..self.options.clone()
        };
        self.ask(move |_| Ok(Arc::new(compacted::Values::open(options)?) as Arc<dyn CompactedTopic>))
            .await
    }

    async fn healthy(&self) -> Result<(), LogError> {
        if !self.writer.is_alive() {
            return Err(LogError::Unavailable("the producer has failed and is being replaced".into()));
        }
        self.ask(Reader::healthy).await
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let writer = self.writer.clone();
        let flushed = tokio::task::spawn_blocking(move || writer.close()).await;
        if let Err(error) = flushed {
            tracing::error!(%error, "closing the event log broke off");
        }
    }
}

/// Runs what waits for a broker where waiting hurts nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(LogError::Unavailable(format!("asking Kafka broke off: {error}"))))
}
