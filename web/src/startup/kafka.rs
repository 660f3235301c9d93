//! Turns the settings of Kafka into what its log wants.

use secrecy::ExposeSecret;
use trunkline_stores::log::kafka::KafkaOptions;

use crate::settings::Settings;

/// Options of the Kafka log.
pub fn options(settings: &Settings) -> KafkaOptions {
    let kafka = &settings.kafka;
    let mut options = KafkaOptions {
        partitions: settings.log.partitions,
        replication: kafka.replication,
        retention: settings.log.retention(),
        static_member: (!kafka.member.is_empty()).then(|| kafka.member.clone()),
        mirror: kafka.mirror.then(|| settings.data.directory.join("mirror")),
        ..KafkaOptions::new(&kafka.brokers, &kafka.topic)
    };
    let ca_file = kafka.ca_file.display().to_string();
    for (name, value) in [
        ("security.protocol", kafka.security_protocol.as_str()),
        ("sasl.mechanisms", &kafka.sasl_mechanism),
        ("sasl.username", &kafka.sasl_user),
        ("sasl.password", kafka.sasl_password.expose_secret()),
        ("ssl.ca.location", &ca_file),
    ] {
        if !value.is_empty() {
            options.properties.insert(name.to_owned(), value.to_owned());
        }
    }
    options
}
