//! The whole product with Kafka as its event log: the same agreement and the same deaths as on Postgres.

use std::time::Duration;

use serde_json::Value;

use crate::agreement::events;
use crate::app::fresh;
use crate::kill::survive;
use crate::process::{Place, eventually};

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
    let place = Place::new(&settings).await;
    survive(&place, KILLS, events(EVENTS)).await;

    // The commands beside the product, on the same topic, while it is stopped.
    let said = |words: &[&str]| {
        let output = place.command(words);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    };
    assert!(said(&["config", "check"]).contains("settings are fine"));
    let checks: Value = serde_json::from_str(&said(&["--json", "doctor"])).unwrap();
    let kafka = checks["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "Kafka")
        .unwrap();
    assert!(kafka["found"].as_str().unwrap().contains("takes records"), "{checks}");
    let shown = said(&["replay", "show", "--limit", "1000000"]);
    assert!(
        shown.lines().count() as u64 >= events(EVENTS),
        "{} records shown",
        shown.lines().count()
    );
    let again: Value = serde_json::from_str(&said(&["--json", "replay", "facts", "--dry-run"])).unwrap();
    assert_eq!(again["records"].as_u64().unwrap(), shown.lines().count() as u64);
    said(&["replay", "facts", "--yes"]);
    let product = place.start().await;
    let records = shown.lines().count() as f64;
    let rewritten = async || match product.metric("trunkline_clickhouse_insert_rows_total", "table=\"events\"").await {
        Some(rows) if rows >= records => Ok(()),
        rows => Err(rows),
    };
    eventually("all is written again", Duration::from_secs(120), rewritten).await;
    product.stop().await;
}
