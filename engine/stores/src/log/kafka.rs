//! The event log on Apache Kafka: for installations that outgrow one machine.
//!
//! Offsets are dense because the topic knows neither transactions nor compaction. An append is answered after all copies that
//! must have it have it ([`writer`]); readers share partitions by the broker's group protocol ([`subscription`]).

mod compacted;
mod follow;
mod identity;
mod member;
mod mirror;
mod order;
mod question;
mod reader;
mod rebalance;
mod settings;
mod shares;
mod subscription;
mod takeover;
mod topic;
mod voice;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_core::instant::Millis;

pub use self::settings::{GroupProtocol, KafkaOptions};

use self::reader::Reader;
use self::subscription::KafkaSubscription;
use self::topic::Purpose;
use self::writer::Writer;
use super::installation::another;
use super::{AppendError, CompactedTopic, EventLog, LogError, LogRecord, Position, Subscription};

/// Longest wait for any answer when the log is known and may be away: a process that can spool should soon take events.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(3);

/// Between two looks for a log that is away; the client itself connects again every second.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The log in one topic.
pub struct KafkaLog {
    options: KafkaOptions,
    identity: String,
    writer: Arc<Writer>,
    reader: Arc<Reader>,
    /// What came of looking at the topic: it is the log we take it for, or why it may not be used. Nothing while it is away since our start.
    seen: OnceLock<Result<(), String>>,
    closed: AtomicBool,
}

impl KafkaLog {
    /// Connects, makes the topic when it is missing, and refuses a topic or broker that would lose events.
    pub async fn open(options: KafkaOptions) -> Result<KafkaLog, LogError> {
        blocking(move || {
            let identity = topic::ensure(checked(&options)?, Purpose::Log)?;
            KafkaLog::over(options, identity, OnceLock::from(Ok(())))
        })
        .await
    }

    /// The same for a log that was worked with before, by its identity. When it is away it is opened all the same, and takes and gives
    /// nothing until [`KafkaLog::find`] has seen that it is that log and has the settings it needs.
    pub async fn open_known(options: KafkaOptions, identity: String) -> Result<KafkaLog, LogError> {
        blocking(move || {
            let looked = topic::look(checked(&options)?, LOOK_WAIT_MAX).and_then(|()| topic::ensure(&options, Purpose::Log));
            match looked {
                Ok(identity) => KafkaLog::over(options, identity, OnceLock::from(Ok(()))),
                Err(LogError::Unavailable(reason)) => {
                    tracing::warn!(reason, "Kafka is away; what comes is spooled, and read when Kafka is back");
                    KafkaLog::over(options, identity, OnceLock::new())
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Returns once the log has been seen, at once if it was there when it was opened; an error when what came may not be used.
    pub async fn find(&self) -> Result<(), LogError> {
        while self.seen.get().is_none() && !self.closed.load(Ordering::Acquire) {
            let options = self.options.clone();
            // The short look first: a process that is asked to stop waits for whatever blocks.
            let look = move || topic::look(&options, LOOK_WAIT_MAX).and_then(|()| topic::ensure(&options, Purpose::Log));
            let seen = match blocking(look).await {
                Ok(identity) if identity == self.identity => Ok(()),
                Ok(identity) => Err(another(&self.identity, &identity)),
                Err(LogError::Unavailable(reason)) => {
                    tracing::debug!(reason, "Kafka is still away");
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                Err(LogError::Misconfigured(sentence)) => Err(sentence),
                Err(error) => Err(error.to_string()),
            };
            // Nobody else looks; the first word stands anyhow.
            let _ = self.seen.set(seen);
        }
        match self.seen.get() {
            Some(Err(sentence)) => Err(LogError::Misconfigured(sentence.clone())),
            _ => Ok(()),
        }
    }

    fn over(options: KafkaOptions, identity: String, seen: OnceLock<Result<(), String>>) -> Result<KafkaLog, LogError> {
        let writer = Arc::new(Writer::new(options.clone(), Purpose::Log)?);
        let reader = Arc::new(Reader::new(options.clone())?);
        Ok(KafkaLog {
            options,
            identity,
            writer,
            reader,
            seen,
            closed: AtomicBool::new(false),
        })
    }

    /// Nothing may be asked of a log, or given to it, before it is known to be ours.
    fn is_seen(&self) -> Result<(), LogError> {
        match self.seen.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(sentence)) => Err(LogError::Misconfigured(sentence.clone())),
            None => Err(LogError::Unavailable("Kafka has not answered since this process started".into())),
        }
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Reader) -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(LogError::Unavailable("it has been closed".into()));
        }
        self.is_seen()?;
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
        self.is_seen().map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.writer.append(key, &bytes).await
    }

    async fn append_in_order(&self, key: &str, records: &[Bytes]) -> (usize, Option<AppendError>) {
        super::append_at_once(self, key, records).await
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        let (options, group) = (self.options.clone(), group.to_owned());
        let reader = self.reader.clone();
        let joined = self.ask(move |_| KafkaSubscription::join(&options, reader, &group)).await?;
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

fn checked(options: &KafkaOptions) -> Result<&KafkaOptions, LogError> {
    match options.partitions == 0 || options.replication == 0 {
        true => Err(LogError::Misconfigured("a log has at least one partition and one copy".into())),
        false => Ok(options),
    }
}

/// Runs what waits for a broker where waiting hurts nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(LogError::Unavailable(format!("asking Kafka broke off: {error}"))))
}
