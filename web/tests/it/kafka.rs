//! The whole product with Kafka as its event log: the same agreement and the same deaths as on Postgres.

use crate::agreement::events;
use crate::app::fresh;
use crate::kill::survive;
use crate::process::Place;

/// Events of a usual run.
const EVENTS: u64 = 8_000;
/// Deaths under load. With the second one Postgres dies too, which keeps the configuration here but no event.
const KILLS: u64 = 2;

/// Settings of a product with a topic of its own on the tests' broker.
pub fn settings() -> Vec<String> {
    let broker = std::env::var("TRUNKLINE_TEST_KAFKA")
        .expect("no Kafka: run deploy/kafka/run DIRECTORY PORT and set TRUNKLINE_TEST_KAFKA=127.0.0.1:PORT (deploy/test does)");
    vec![
        "log.store=kafka".to_owned(),
        format!("kafka.brokers={broker}"),
        format!("kafka.topic={}", fresh("whole")),
        "kafka.replication=1".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_all_figures_agree_and_deaths_under_load_cost_nothing() {
    let settings = settings();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    survive(&Place::new(&settings).await, KILLS, events(EVENTS)).await;
}
