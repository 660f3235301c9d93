//! Makes the topics and refuses one that would lose what it is for.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use trunkline_core::limit::RECORD_BYTES;

use super::identity;
use super::settings::{self, FRAMING_BYTES, KafkaOptions};
use super::voice::Voice;
use crate::log::LogError;

/// Longest wait for an answer about topics.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Group offsets must outlive any outage that the events themselves outlive (KA-07); Kafka's own default is this week.
const OFFSETS_KEPT_MIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who reads a compacted topic now and then has to hear of each removal; Kafka's own default is this day.
pub(super) const REMOVALS_TOLD: Duration = Duration::from_secs(24 * 3600);

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Raw events: all of them, for as long as they are kept.
    Log,
    /// The newest value of each key.
    Values,
}

/// Makes the topic when it is missing, then reads its settings back and refuses wrong ones with a sentence. Gives the topic's
/// identity. Blocks.
pub(super) fn ensure(options: &KafkaOptions, purpose: Purpose) -> Result<String, LogError> {
    let admin = AdminClient::from_config_and_context(&settings::admin(options)?, Voice).map_err(|error| unusable(&error))?;
    let wanted = match purpose {
        Purpose::Log => wanted_of_log(options),
        Purpose::Values => wanted_of_values(options),
    };
    create(&admin, options, &wanted)?;
    let shape = shape(&admin, options)?;
    check_shape(options, &shape)?;
    check_topic(options, wanted, &describe(&admin, ResourceSpecifier::Topic(&options.topic))?)?;
    if purpose == Purpose::Values {
        return identity::of(&admin, &options.topic, ANSWER_WAIT_MAX);
    }
    match describe(&admin, ResourceSpecifier::Broker(shape.broker)) {
        Ok(broker) => check_broker(options, &broker)?,
        Err(error) => {
            // Hosted clusters often hide this.
            tracing::warn!(%error, "the broker does not tell its settings; offsets.retention.minutes is not checked");
        }
    }
    identity::of(&admin, &options.topic, ANSWER_WAIT_MAX)
}

/// Whether any broker answers within `wait`. Blocks.
pub(super) fn look(options: &KafkaOptions, wait: Duration) -> Result<(), LogError> {
    let admin = AdminClient::from_config_and_context(&settings::admin(options)?, Voice).map_err(|error| unusable(&error))?;
    let answer = admin.inner().fetch_metadata(Some(&options.topic), wait);
    answer.map(drop).map_err(|error| away(&error))
}

/// The settings the topic of raw events is made with, and those of them that are read back.
fn wanted_of_log(options: &KafkaOptions) -> Vec<(&'static str, String)> {
    let mut list = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("max.message.bytes", (RECORD_BYTES + FRAMING_BYTES).to_string()),
        ("retention.ms", options.retention.as_millis().to_string()),
        ("retention.bytes", "-1".to_owned()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("unclean.leader.election.enable", "false".to_owned()),
        ("min.insync.replicas", insync(options).to_string()),
    ];
    if options.replication == 1 {
        // Alone, a broker that only fills its page cache would lose acknowledged events with the power (KA-02).
        list.push(("flush.messages", "1".to_owned()));
    }
    list
}

/// The same of a compacted topic. Whoever takes a partition over reads all of it, so what is superseded goes within minutes: segments are
/// closed each minute, because the open one is never cleaned, and cleaned when a tenth of them is new.
fn wanted_of_values(options: &KafkaOptions) -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "compact".to_owned()),
        ("max.message.bytes", (RECORD_BYTES + FRAMING_BYTES).to_string()),
        ("min.compaction.lag.ms", "60000".to_owned()),
        ("delete.retention.ms", REMOVALS_TOLD.as_millis().to_string()),
        ("segment.ms", "60000".to_owned()),
        ("segment.bytes", (32 * 1024 * 1024).to_string()),
        ("min.cleanable.dirty.ratio", "0.1".to_owned()),
        ("unclean.leader.election.enable", "false".to_owned()),
        ("min.insync.replicas", insync(options).to_string()),
    ]
}

/// One copy may be away for maintenance; an acknowledged event still has two, where there are three.
pub(super) fn insync(options: &KafkaOptions) -> u16 {
    options.replication.saturating_sub(1).max(1)
}

fn create(admin: &AdminClient<Voice>, options: &KafkaOptions, wanted: &[(&'static str, String)]) -> Result<(), LogError> {
    let partitions = i32::try_from(options.partitions).unwrap_or(i32::MAX);
    let new = NewTopic::new(&options.topic, partitions, TopicReplication::Fixed(i32::from(options.replication)));
    let new = wanted.iter().fold(new, |new, (name, value)| new.set(name, value));
    let results = block_on(admin.create_topics([&new], &patience())).map_err(|error| away(&error))?;
    match results.into_iter().next() {
        Some(Ok(_)) => {
            tracing::info!(topic = options.topic, partitions, "made a topic");
            Ok(())
        }
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => Ok(()),
        Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor))) => Err(LogError::Misconfigured(format!(
            "kafka.replication = {} needs as many brokers, and there are fewer; lower it or add brokers",
            options.replication
        ))),
        // We may lack the right to create; what is there decides.
        Some(Err((_, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed))) => Ok(()),
        Some(Err((_, code))) => Err(LogError::Unavailable(format!("cannot make the topic {}: {code}", options.topic))),
    }
}

struct Shape {
    partitions: usize,
    copies_min: usize,
    broker: i32,
}

/// Partitions and copies; a topic that was just made takes a moment until every broker knows it.
fn shape(admin: &AdminClient<Voice>, options: &KafkaOptions) -> Result<Shape, LogError> {
    let deadline = Instant::now() + ANSWER_WAIT_MAX;
    loop {
        let metadata = admin
            .inner()
            .fetch_metadata(Some(&options.topic), ANSWER_WAIT_MAX)
            .map_err(|error| away(&error))?;
        let broker = metadata.brokers().first().map_or(-1, rdkafka::metadata::MetadataBroker::id);
        if let Some(topic) = metadata
            .topics()
            .iter()
            .find(|topic| topic.error().is_none() && !topic.partitions().is_empty())
        {
            let copies_min = topic
                .partitions()
                .iter()
                .map(|partition| partition.replicas().len())
                .min()
                .unwrap_or(0);
            return Ok(Shape {
                partitions: topic.partitions().len(),
                copies_min,
                broker,
            });
        }
        if Instant::now() > deadline {
            return Err(LogError::Misconfigured(format!(
                "the topic {} does not exist and we may not make it; make it",
                options.topic
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn check_shape(options: &KafkaOptions, shape: &Shape) -> Result<(), LogError> {
    let topic = &options.topic;
    if shape.partitions != options.partitions as usize {
        return Err(LogError::Misconfigured(format!(
            "the topic {topic} has {} partitions and the settings say {}; a call's events would be split, so set log.partitions to {}",
            shape.partitions, options.partitions, shape.partitions
        )));
    }
    if shape.copies_min < usize::from(options.replication) {
        return Err(LogError::Misconfigured(format!(
            "the topic {topic} has {} copies and the settings say {}; add copies (kafka-reassign-partitions) or lower kafka.replication",
            shape.copies_min, options.replication
        )));
    }
    Ok(())
}

fn check_topic(options: &KafkaOptions, wanted: Vec<(&'static str, String)>, have: &ConfigResource) -> Result<(), LogError> {
    for (name, want) in wanted {
        let Some(value) = have.get(name).and_then(|entry| entry.value.as_deref()) else {
            continue;
        };
        let fine = match name {
            // More is fine; -1 is for ever.
            "retention.ms" => value == "-1" || at_least(value, &want),
            "max.message.bytes" | "min.insync.replicas" | "delete.retention.ms" => at_least(value, &want),
            // A person who sets another rhythm has weighed it.
            "flush.messages" | "min.compaction.lag.ms" | "segment.ms" | "segment.bytes" | "min.cleanable.dirty.ratio" => true,
            _ => value == want,
        };
        if !fine {
            let topic = &options.topic;
            return Err(LogError::Misconfigured(format!(
                "the topic {topic} has {name}={value} and needs {want}; run: kafka-configs --alter --entity-type topics --entity-name {topic} \
                 --add-config {name}={want}"
            )));
        }
    }
    Ok(())
}

fn check_broker(options: &KafkaOptions, have: &ConfigResource) -> Result<(), LogError> {
    let value = |name: &str| have.get(name).and_then(|entry| entry.value.clone());
    if value("auto.create.topics.enable").as_deref() == Some("true") {
        tracing::warn!("the broker makes topics by itself (auto.create.topics.enable); a misspelt name would become one");
    }
    let kept = value("offsets.retention.minutes").and_then(|minutes| minutes.parse::<u64>().ok());
    let needed = OFFSETS_KEPT_MIN.min(options.retention);
    match kept.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))) {
        Some(kept) if kept < needed => Err(LogError::Misconfigured(format!(
            "the broker forgets a group's position after {} minutes (offsets.retention.minutes), sooner than an outage may last; set at least {}",
            kept.as_secs() / 60,
            needed.as_secs() / 60
        ))),
        _ => Ok(()),
    }
}

fn at_least(value: &str, want: &str) -> bool {
    value
        .parse::<u128>()
        .is_ok_and(|value| want.parse().is_ok_and(|want: u128| value >= want))
}

fn describe(admin: &AdminClient<Voice>, what: ResourceSpecifier<'_>) -> Result<ConfigResource, LogError> {
    let results = block_on(admin.describe_configs([&what], &patience())).map_err(|error| away(&error))?;
    match results.into_iter().next() {
        Some(Ok(resource)) => Ok(resource),
        Some(Err(code)) => Err(LogError::Unavailable(format!("cannot read the settings of {what:?}: {code}"))),
        None => Err(LogError::Unavailable(format!("no answer about the settings of {what:?}"))),
    }
}

fn patience() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_WAIT_MAX))
        .operation_timeout(Some(ANSWER_WAIT_MAX))
}

/// For a blocking task: the admin client answers from a thread of its own.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

/// The client cannot even be made: wrong settings.
pub(super) fn unusable(error: &KafkaError) -> LogError {
    LogError::Misconfigured(format!("the Kafka client refuses its settings: {error}"))
}

/// The broker does not answer.
pub(super) fn away(error: &KafkaError) -> LogError {
    LogError::Unavailable(format!("Kafka does not answer: {error}"))
}
