//! Appends records and waits for the broker's word; a producer that has failed for good is replaced by a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use trunkline_core::limit::RECORD_BYTES;

use super::settings::{self, KafkaOptions};
use super::topic::{self, Purpose};
use super::voice;
use crate::log::partitioner::partition_of;
use crate::log::{AppendError, LogError, Position};

/// Longest time that closing waits for records in flight: their own deadline and a little.
const FLUSH_WAIT_MAX: Duration = Duration::from_millis(4500);

/// Appends to one topic.
pub(super) struct Writer {
    options: KafkaOptions,
    purpose: Purpose,
    producer: ArcSwap<Reporting>,
    replacing: AtomicBool,
    closed: AtomicBool,
}

/// A record that was handed over.
pub(super) struct OnTheWay {
    writer: Arc<Writer>,
    reported: oneshot::Receiver<Report>,
}

type Reporting = ThreadedProducer<Reports>;
type Report = Result<Position, KafkaError>;

/// Passes each delivery report to the one who waits for it.
struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        voice::say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        voice::complain(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<oneshot::Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let report = match result {
            Ok(message) => Ok(Position {
                partition: message.partition().unsigned_abs(),
                offset: message.offset(),
            }),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits when the request's client has gone; the record is stored all the same.
        let _ = waiting.send(report);
    }
}

impl Writer {
    pub fn new(options: KafkaOptions, purpose: Purpose) -> Result<Writer, LogError> {
        let producer = produce(&options, purpose)?;
        Ok(Writer {
            options,
            purpose,
            producer: ArcSwap::from_pointee(producer),
            replacing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Stores `bytes` under `key`; returns when every copy that must have it has it.
    pub async fn append(self: &Arc<Self>, key: &str, bytes: &Bytes) -> Result<Position, AppendError> {
        let partition = partition_of(key, self.options.partitions);
        self.store(partition, key.as_bytes(), Some(bytes), None)?.stored().await
    }

    /// Hands over a record of one partition; without bytes it removes the key from a compacted topic. Records handed over one after the
    /// other are stored in this order.
    pub fn store(
        self: &Arc<Self>,
        partition: u32,
        key: &[u8],
        bytes: Option<&[u8]>,
        header: Option<Header<'_, &[u8]>>,
    ) -> Result<OnTheWay, AppendError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(AppendError::Unavailable("it has been closed".into()));
        }
        let size = bytes.map_or(0, <[u8]>::len) + key.len();
        if size > RECORD_BYTES {
            return Err(AppendError::TooLarge {
                bytes: size,
                limit: RECORD_BYTES,
            });
        }
        let (report, reported) = oneshot::channel();
        let mut record: BaseRecord<'_, [u8], [u8], _> = BaseRecord::with_opaque_to(&self.options.topic, Box::new(report))
            .partition(i32::try_from(partition).unwrap_or(i32::MAX))
            .key(key);
        record.payload = bytes;
        record.headers = header.map(|header| OwnedHeaders::new_with_capacity(1).insert(header));
        if let Err((error, _)) = self.producer.load().send(record) {
            self.replace_when_dead();
            return Err(refused(&error));
        }
        let writer = self.clone();
        Ok(OnTheWay { writer, reported })
    }

    /// True when appends can reach the broker.
    pub fn is_alive(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && self.producer.load().client().fatal_error().is_none()
    }

    /// Hands over what is in flight; appends fail afterwards. Blocks for at most [`FLUSH_WAIT_MAX`].
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Err(error) = self.producer.load().flush(FLUSH_WAIT_MAX) {
            tracing::warn!(%error, "some appends were still unanswered when the event log was closed");
        }
    }

    /// A fatal error stops all sends of a producer for ever (KA-04): put a new one in its place.
    fn replace_when_dead(self: &Arc<Self>) {
        let Some((code, reason)) = self.producer.load().client().fatal_error() else {
            return;
        };
        if self.replacing.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(%code, reason, "the Kafka producer has failed for good; making a new one");
        let writer = self.clone();
        // Making and ending a producer both wait for threads; no request should.
        std::thread::spawn(move || {
            match produce(&writer.options, writer.purpose) {
                Ok(producer) => drop(writer.producer.swap(Arc::new(producer))),
                Err(error) => tracing::error!(%error, "cannot make a new Kafka producer"),
            }
            writer.replacing.store(false, Ordering::Release);
        });
    }
}

impl OnTheWay {
    /// Waits until every copy that must have it has it.
    pub async fn stored(self) -> Result<Position, AppendError> {
        match self.reported.await {
            Ok(Ok(position)) => Ok(position),
            Ok(Err(error)) => {
                self.writer.replace_when_dead();
                Err(failed(&error))
            }
            // The producer was thrown away with the record in it.
            Err(_) => Err(AppendError::Unknown),
        }
    }
}

fn produce(options: &KafkaOptions, purpose: Purpose) -> Result<Reporting, LogError> {
    let config = match purpose {
        Purpose::Log => settings::producer(options)?,
        Purpose::Values => settings::producer_of_values(options)?,
    };
    Reporting::from_config_and_context(&config, Reports).map_err(|error| topic::unusable(&error))
}

/// Not even queued: nothing is stored.
fn refused(error: &KafkaError) -> AppendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => AppendError::Unavailable("more appends are waiting for the broker than fit in memory".into()),
        _ => AppendError::Unavailable(error.to_string()),
    }
}

/// Queued, then given up. Only where the broker has certainly refused it may we say that it is not stored.
fn failed(error: &KafkaError) -> AppendError {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge) => AppendError::TooLarge {
            bytes: RECORD_BYTES,
            limit: RECORD_BYTES,
        },
        Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::PolicyViolation
            | Code::InvalidRecord,
        ) => AppendError::Unavailable(error.to_string()),
        _ => AppendError::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    fn writer(cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>) -> Arc<Writer> {
        cluster.create_topic("calls.raw", 4, 1).unwrap();
        let options = KafkaOptions {
            partitions: 4,
            ..KafkaOptions::new(cluster.bootstrap_servers(), "calls.raw")
        };
        Arc::new(Writer::new(options, Purpose::Log).unwrap())
    }

    #[tokio::test]
    async fn a_producer_that_died_is_replaced_within_two_seconds() {
        let cluster = MockCluster::new(1).unwrap();
        let writer = writer(&cluster);
        let first = writer.append("call_a", &Bytes::from_static(b"one")).await.unwrap();
        let dead = writer.producer.load().client().native_ptr();
        // SAFETY: the client is alive, and the reason is a zero-ended string.
        unsafe {
            rdkafka::bindings::rd_kafka_test_fatal_error(
                dead,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                c"test".as_ptr(),
            );
        }
        let began = Instant::now();
        let second = loop {
            match writer.append("call_a", &Bytes::from_static(b"two")).await {
                Ok(position) => break position,
                Err(AppendError::TooLarge { .. }) => panic!("wrong reason"),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            assert!(began.elapsed() < Duration::from_secs(2), "still dead");
        };
        assert_eq!((second.partition, second.offset), (first.partition, first.offset + 1));
        assert!(writer.is_alive());
    }

    #[tokio::test]
    async fn a_retry_stores_a_record_once() {
        let cluster = MockCluster::new(1).unwrap();
        let writer = writer(&cluster);
        writer.append("call_a", &Bytes::from_static(b"one")).await.unwrap();
        let timed_out = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
        cluster.request_errors(rdkafka::types::RDKafkaApiKey::Produce, &[timed_out, timed_out]);
        let second = writer.append("call_a", &Bytes::from_static(b"two")).await.unwrap();
        let third = writer.append("call_a", &Bytes::from_static(b"three")).await.unwrap();
        assert_eq!((second.offset, third.offset), (1, 2));
    }

    #[tokio::test]
    async fn an_append_nobody_answers_is_unknown_after_its_deadline_and_not_refused() {
        let cluster = MockCluster::new(1).unwrap();
        let writer = writer(&cluster);
        writer.append("call_a", &Bytes::from_static(b"one")).await.unwrap();
        cluster.broker_down(1).unwrap();
        let began = Instant::now();
        let outcome = writer.append("call_a", &Bytes::from_static(b"two")).await;
        assert!(matches!(outcome, Err(AppendError::Unknown)), "{outcome:?}");
        assert!((3..=5).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        cluster.broker_up(1).unwrap();
    }

    #[tokio::test]
    async fn what_is_too_large_is_said_before_it_is_sent() {
        let cluster = MockCluster::new(1).unwrap();
        let writer = writer(&cluster);
        let outcome = writer.append("call_a", &Bytes::from(vec![0; RECORD_BYTES])).await;
        assert!(matches!(outcome, Err(AppendError::TooLarge { .. })), "{outcome:?}");
        writer.append("call_a", &Bytes::from(vec![0; RECORD_BYTES - 6])).await.unwrap();
        writer.close();
        assert!(matches!(
            writer.append("call_a", &Bytes::new()).await,
            Err(AppendError::Unavailable(_))
        ));
    }
}
