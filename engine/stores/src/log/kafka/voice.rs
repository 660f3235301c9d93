//! Passes on what the Kafka client says to our own log.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::log::LogError;

/// The plainest client context: logs, nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Voice;

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        complain(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for Voice {}

/// One line of the client's own log. Not as a field `message`: the line has one already, and a JSON object with two of a name is read as each likes.
pub(super) fn say(level: RDKafkaLogLevel, facility: &str, reason: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(facility, reason, "kafka client");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, reason, "kafka client"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, reason, "kafka client"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, reason, "kafka client"),
    }
}

/// An error that concerns no single request, such as a broker that went away; the client retries by itself.
pub(super) fn complain(error: &KafkaError, reason: &str) {
    // A partition read to its end: asked for, several times a second, and told to the reader by its own way.
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        return;
    }
    tracing::warn!(%error, reason, "kafka client");
}

/// What ends this membership, or must be put right by a person, when the error is of that kind.
pub(super) fn verdict(error: &KafkaError) -> Option<LogError> {
    use RDKafkaErrorCode as Code;
    let text = match error {
        KafkaError::MessageConsumptionFatal(Code::FencedInstanceId) => return Some(LogError::Fenced),
        KafkaError::MessageConsumptionFatal(code) => format!("the Kafka client cannot go on: {code}"),
        KafkaError::MessageConsumption(
            code @ (Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::UnsupportedVersion
            | Code::InconsistentGroupProtocol),
        ) => format!("the broker refuses this member of the group: {code}"),
        _ => return None,
    };
    Some(LogError::Misconfigured(text))
}
