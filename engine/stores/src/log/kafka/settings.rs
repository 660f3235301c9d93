//! What our Kafka clients are set to, and which of it nobody may change.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use trunkline_core::limit::RECORD_BYTES;

use crate::log::LogError;

/// Room for key, batch header and framing beside the largest record.
pub(super) const FRAMING_BYTES: usize = 64 * 1024;

/// How a Kafka log is reached and what its topic must be like.
#[derive(Clone)]
pub struct KafkaOptions {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// Topic of raw events; made when missing.
    pub topic: String,
    /// Partitions of the topic, fixed for its life.
    pub partitions: u32,
    /// Copies of each partition.
    pub replication: u16,
    /// How long events are kept at least.
    pub retention: Duration,
    /// How members of a group share partitions.
    pub group_protocol: GroupProtocol,
    /// A name of this member that survives restarts: its partitions wait for it during a short absence.
    pub static_member: Option<String>,
    /// Directory for this node's own copies of what it keeps in compacted topics, so that it need not read all of it after a crash.
    pub mirror: Option<PathBuf>,
    /// librdkafka properties for transport and sign-in (`security.protocol`, `sasl.*`, `ssl.*` …).
    pub properties: BTreeMap<String, String>,
}

/// How members of a group share partitions; all members of a group must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// Cooperative-sticky among the members; every broker has it.
    #[default]
    Classic,
    /// By the broker (KIP-848); brokers from 4.0.
    Consumer,
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be secrets.
        f.debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("retention", &self.retention)
            .field("group_protocol", &self.group_protocol)
            .field("static_member", &self.static_member)
            .field("mirror", &self.mirror)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

impl KafkaOptions {
    /// Options with everything but the place at its default: 8 partitions, 1 copy, 14 days.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>) -> KafkaOptions {
        KafkaOptions {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions: 8,
            replication: 1,
            retention: Duration::from_secs(14 * 24 * 3600),
            group_protocol: GroupProtocol::default(),
            static_member: None,
            mirror: None,
            properties: BTreeMap::new(),
        }
    }
}

/// Properties that carry a promise of ours; settings may not touch them.
const REFUSED: [(&str, &str); 23] = [
    ("acks", "an event is acknowledged only when all copies have it"),
    ("request.required.acks", "an event is acknowledged only when all copies have it"),
    ("enable.idempotence", "a retry must not store an event twice"),
    ("enable.gapless.guarantee", "a retry must not reorder events"),
    ("max.in.flight", "a retry must not reorder events"),
    ("max.in.flight.requests.per.connection", "a retry must not reorder events"),
    ("delivery.timeout.ms", "Retell is answered within five seconds"),
    ("message.timeout.ms", "Retell is answered within five seconds"),
    ("message.max.bytes", "the largest event must fit"),
    ("fetch.message.max.bytes", "the largest event must fit"),
    ("partitioner", "a call belongs to one partition for ever"),
    ("transactional.id", "offsets must have no holes"),
    ("isolation.level", "offsets must have no holes"),
    ("enable.auto.commit", "an offset is committed when its work is done"),
    ("auto.commit.enable", "an offset is committed when its work is done"),
    ("enable.auto.offset.store", "an offset is committed when its work is done"),
    ("auto.offset.reset", "a lost position must be noticed, not skipped"),
    ("enable.partition.eof", "readers must know when they have caught up"),
    ("check.crcs", "a damaged segment must be noticed"),
    ("group.id", "each part of the product has a group of its own"),
    ("group.protocol", "members of a group must agree"),
    ("partition.assignment.strategy", "members of a group must agree"),
    ("bootstrap.servers", "set kafka.brokers"),
];

/// What every client shares.
fn base(options: &KafkaOptions) -> Result<ClientConfig, LogError> {
    for name in options.properties.keys() {
        if let Some((name, reason)) = REFUSED.iter().find(|(refused, _)| refused == name) {
            return Err(LogError::Misconfigured(format!(
                "the Kafka property {name} cannot be set: {reason}; remove it"
            )));
        }
    }
    let mut config = ClientConfig::new();
    config
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", "trunkline")
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true")
        .set("log.connection.close", "false")
        // After a broker's restart we are back within seconds, not after the default ten.
        .set("reconnect.backoff.max.ms", "1000")
        // A broker that stood still for minutes comes back with a full queue of connections that nobody waits at the other end of any more. The
        // system knocks at it less and less often; a connection begun anew knocks at once.
        .set("socket.connection.setup.timeout.ms", "4000");
    config.extend(options.properties.clone());
    Ok(config)
}

/// Settings for appending (rules D1, KA-03).
pub(super) fn producer(options: &KafkaOptions) -> Result<ClientConfig, LogError> {
    let mut config = base(options)?;
    let set = |name: &str, ours: &'static str| options.properties.get(name).cloned().unwrap_or_else(|| ours.to_owned());
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("delivery.timeout.ms", "4000")
        .set("linger.ms", set("linger.ms", "5"))
        .set("compression.type", set("compression.type", "zstd"))
        .set("message.max.bytes", (RECORD_BYTES + FRAMING_BYTES).to_string())
        .set("partitioner", "murmur2_random")
        // A burst of two seconds at the largest rate planned for one node; beyond it we say "unavailable" at once.
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "524288");
    Ok(config)
}

/// Settings for writing the newest values of keys. A value that is stored twice does no harm, so there is no idempotence, which would take half
/// a second before the first; one request at a time keeps the order.
pub(super) fn producer_of_values(options: &KafkaOptions) -> Result<ClientConfig, LogError> {
    let mut config = producer(options)?;
    config
        .set("enable.idempotence", "false")
        .set("max.in.flight.requests.per.connection", "1")
        .set("linger.ms", "1");
    if !options.properties.contains_key("compression.type") {
        // A node that takes partitions over waits for them to be unpacked, on one thread.
        config.set("compression.type", "lz4");
    }
    Ok(config)
}

/// The broker's name of a group. Groups are known to the whole broker; two installations on it must not share one (CO-14).
pub(super) fn group_id(options: &KafkaOptions, group: &str) -> String {
    format!("{}.{group}", options.topic)
}

/// Settings for reading, in a group or beside it (rules CO-01, KA-07, KA-09).
pub(super) fn consumer(options: &KafkaOptions, group: &str) -> Result<ClientConfig, LogError> {
    let mut config = base(options)?;
    config
        .set("group.id", group_id(options, group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .set("fetch.message.max.bytes", (RECORD_BYTES + FRAMING_BYTES).to_string())
        // Per partition, because each has a queue of its own here; a larger record still passes, alone.
        .set("queued.max.messages.kbytes", "4096")
        // The default of one second would stall a reader that has just emptied a full queue.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100")
        // How long a partition that has just begun may wait for the fetch that is under way without it.
        .set("fetch.wait.max.ms", "100");
    Ok(config)
}

/// Settings of a member: a reader that shares partitions with others.
pub(super) fn member(options: &KafkaOptions, group: &str) -> Result<ClientConfig, LogError> {
    let mut config = consumer(options, group)?;
    match options.group_protocol {
        GroupProtocol::Consumer => {
            // Session and heartbeat times are the broker's there.
            config.set("group.protocol", "consumer");
        }
        GroupProtocol::Classic => {
            config
                .set("group.protocol", "classic")
                .set("partition.assignment.strategy", "cooperative-sticky");
            for (name, ours) in [("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "1000")] {
                if !options.properties.contains_key(name) {
                    config.set(name, ours);
                }
            }
        }
    }
    if let Some(name) = &options.static_member {
        config.set("group.instance.id", format!("{name}.{group}"));
    }
    Ok(config)
}

/// Settings for asking about topics.
pub(super) fn admin(options: &KafkaOptions) -> Result<ClientConfig, LogError> {
    base(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_cannot_be_set_away() {
        for (name, _) in REFUSED {
            let mut options = KafkaOptions::new("x:1", "t");
            options.properties.insert(name.into(), "1".into());
            let error = producer(&options).unwrap_err();
            assert!(matches!(&error, LogError::Misconfigured(text) if text.contains(name)), "{error}");
        }
    }

    #[test]
    fn what_we_promise_is_set() {
        let mut options = KafkaOptions::new("x:1", "t");
        options.properties.insert("sasl.password".into(), "secret".into());
        assert!(!format!("{options:?}").contains("secret"));
        let writes = producer(&options).unwrap();
        for (name, value) in [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("delivery.timeout.ms", "4000"),
            ("linger.ms", "5"),
            ("compression.type", "zstd"),
        ] {
            assert_eq!(writes.get(name), Some(value), "{name}");
        }
        let reads = member(&options, "live").unwrap();
        for (name, value) in [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("sasl.password", "secret"),
        ] {
            assert_eq!(reads.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn every_client_can_be_made_from_its_settings() {
        let options = KafkaOptions {
            group_protocol: GroupProtocol::Consumer,
            static_member: Some("a".into()),
            ..KafkaOptions::new("x:1", "t")
        };
        let classic = KafkaOptions {
            group_protocol: GroupProtocol::Classic,
            ..options.clone()
        };
        for config in [
            producer(&options),
            producer_of_values(&options),
            consumer(&options, "g"),
            member(&options, "g"),
            member(&classic, "g"),
            admin(&options),
        ] {
            config.unwrap().create_native_config().unwrap();
        }
    }
}
