//! Reads beside any group: spans, offsets by time, single records, what groups have committed. Everything here blocks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use trunkline_core::instant::Millis;

use super::order::record;
use super::settings::{self, KafkaOptions};
use super::shares;
use super::topic::{away, unusable};
use super::voice::Voice;
use crate::log::{LogError, LogRecord};

/// Longest wait for one answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long readiness waits, and who looks whether all is shared out.
const HEALTH_WAIT: Duration = Duration::from_secs(1);

/// A group of this name never forms: its reader is assigned by hand and commits nothing.
const GROUP: &str = "trunkline-reader";

/// Reads one topic.
pub(super) struct Reader {
    options: KafkaOptions,
    asking: BaseConsumer<Voice>,
    reading: Mutex<Reading>,
    groups: Mutex<HashMap<String, Arc<BaseConsumer<Voice>>>>,
}

/// What a group has noted of one partition.
pub(super) struct Noted {
    pub partition: u32,
    /// First offset not yet done.
    pub next: Option<i64>,
    /// What it was about to do.
    pub intent: Option<String>,
}

struct Reading {
    consumer: BaseConsumer<Voice>,
    /// What the next poll gives, if nobody wants another place.
    at: Option<(u32, i64)>,
}

impl Reader {
    pub fn new(options: KafkaOptions) -> Result<Reader, LogError> {
        let (asking, reading) = (consumer(&options, GROUP)?, consumer(&options, GROUP)?);
        Ok(Reader {
            options,
            asking,
            reading: Mutex::new(Reading {
                consumer: reading,
                at: None,
            }),
            groups: Mutex::default(),
        })
    }

    /// First offset still there and the one the next record will have.
    pub fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        self.span_within(partition, ANSWER_WAIT_MAX)
    }

    /// The same, with another longest wait.
    pub fn span_within(&self, partition: u32, wait: Duration) -> Result<(i64, i64), LogError> {
        self.asking
            .fetch_watermarks(&self.options.topic, self.number(partition)?, wait)
            .map_err(|error| away(&error))
    }

    /// First offset appended at or after `at`; the end when there is none.
    pub fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        let mut question = self.list(partition, Offset::Offset(at.0.max(0)))?;
        question
            .set_all_offsets(Offset::Offset(at.0.max(0)))
            .map_err(|error| away(&error))?;
        let answer = self
            .asking
            .offsets_for_times(question, ANSWER_WAIT_MAX)
            .map_err(|error| away(&error))?;
        let element = answer.elements().into_iter().next().ok_or_else(|| self.no_partition(partition))?;
        element.error().map_err(|error| away(&error))?;
        match element.offset() {
            Offset::Offset(offset) => Ok(offset),
            _ => Ok(self.span(partition)?.1),
        }
    }

    /// Up to `max` records from `from`.
    pub fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        let (begins, end) = self.span(partition)?;
        if from < begins || from > end {
            return Err(LogError::Gone {
                partition,
                wanted: from,
                begins,
            });
        }
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let until = from.saturating_add(max).min(end);
        let mut records = Vec::new();
        if from == until {
            return Ok(records);
        }
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.at != Some((partition, from)) {
            let list = self.list(partition, Offset::Offset(from))?;
            reading.consumer.assign(&list).map_err(|error| away(&error))?;
        }
        reading.at = None;
        let (mut next, mut deadline) = (from, Instant::now() + ANSWER_WAIT_MAX);
        while next < until {
            if Instant::now() > deadline {
                return Err(LogError::Unavailable("Kafka does not send the records".into()));
            }
            match reading.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if message.partition().unsigned_abs() == partition && message.offset() == next => {
                    records.push(record(partition, &message));
                    (next, deadline) = (next + 1, Instant::now() + ANSWER_WAIT_MAX);
                }
                Some(Ok(message)) if message.offset() > next => {
                    return Err(LogError::Gone {
                        partition,
                        wanted: next,
                        begins: message.offset(),
                    });
                }
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => tracing::debug!(%error, "reading the event log"),
            }
        }
        reading.at = Some((partition, next));
        Ok(records)
    }

    /// What `group` has committed, per partition.
    pub fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        let noted = self.noted(group)?;
        Ok(noted.into_iter().filter_map(|noted| Some((noted.partition, noted.next?))).collect())
    }

    /// What `group` has noted of each partition. Asked beside the group: a member's own question waits behind what it has asked its coordinator
    /// before, and while others join, that is not answered.
    pub fn noted(&self, group: &str) -> Result<Vec<Noted>, LogError> {
        let member = {
            let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            match groups.get(group) {
                Some(member) => member.clone(),
                None => {
                    let member = Arc::new(consumer(&self.options, group)?);
                    groups.insert(group.to_owned(), member.clone());
                    member
                }
            }
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_range(
            &self.options.topic,
            0,
            i32::try_from(self.options.partitions).unwrap_or(i32::MAX) - 1,
        );
        let answer = member.committed_offsets(list, ANSWER_WAIT_MAX).map_err(|error| away(&error))?;
        let mut noted = Vec::new();
        for element in answer.elements() {
            element.error().map_err(|error| away(&error))?;
            noted.push(Noted {
                partition: element.partition().unsigned_abs(),
                next: match element.offset() {
                    Offset::Offset(next) => Some(next),
                    _ => None,
                },
                intent: Some(element.metadata()).filter(|text| !text.is_empty()).map(str::to_owned),
            });
        }
        Ok(noted)
    }

    /// Partitions that no member of `group` has, as its coordinator knows it; none while they are being shared out.
    pub fn ownerless(&self, group: &str) -> Result<Option<BTreeSet<u32>>, LogError> {
        let name = settings::group_id(&self.options, group);
        let owned = shares::owned(self.asking.client(), &name, &self.options.topic, HEALTH_WAIT)?;
        let all = 0..self.options.partitions;
        Ok(owned.map(|owned| all.filter(|partition| !owned.contains(partition)).collect()))
    }

    /// Whether every partition takes records: it has a leader, and as many copies in step as an append needs.
    pub fn healthy(&self) -> Result<(), LogError> {
        let metadata = self
            .asking
            .fetch_metadata(Some(&self.options.topic), HEALTH_WAIT)
            .map_err(|error| away(&error))?;
        let topic = metadata.topics().first().filter(|topic| topic.error().is_none());
        let topic = topic.ok_or_else(|| LogError::Unavailable(format!("Kafka does not know the topic {}", self.options.topic)))?;
        let needed = super::topic::insync(&self.options);
        for partition in topic.partitions() {
            if partition.leader() < 0 || partition.isr().len() < usize::from(needed) {
                return Err(LogError::Unavailable(format!(
                    "partition {} takes no records at the moment",
                    partition.id()
                )));
            }
        }
        Ok(())
    }

    fn list(&self, partition: u32, offset: Offset) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.options.topic, self.number(partition)?, offset)
            .map_err(|error| away(&error))?;
        Ok(list)
    }

    fn number(&self, partition: u32) -> Result<i32, LogError> {
        if partition >= self.options.partitions {
            return Err(self.no_partition(partition));
        }
        i32::try_from(partition).map_err(|_| self.no_partition(partition))
    }

    fn no_partition(&self, partition: u32) -> LogError {
        LogError::Misconfigured(format!("the event log has no partition {partition}"))
    }
}

fn consumer(options: &KafkaOptions, group: &str) -> Result<BaseConsumer<Voice>, LogError> {
    BaseConsumer::from_config_and_context(&settings::consumer(options, group)?, Voice).map_err(|error| unusable(&error))
}
