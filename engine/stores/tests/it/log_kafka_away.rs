//! A Kafka that is away when a process starts: it is opened by what is known of it, used once it is seen to be that log, and refused when it is another.

use std::time::{Duration, Instant};

use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::{AppendError, EventLog, LogError, known, recognise};
use trunkline_stores::postgres::Database;

use crate::broker::{self, Broker};
use crate::log_suite::numbered;

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_log_that_is_away_is_opened_and_used_when_it_is_back() {
    let mut broker = Broker::start();
    let options = KafkaOptions::new(&broker.address, "calls.raw.away");
    let log = KafkaLog::open(options.clone()).await.unwrap();
    let before = log.append("call_1", numbered(1)).await.unwrap();
    let identity = log.identity().to_owned();
    log.close().await;
    broker.signal("KILL");

    let began = Instant::now();
    let log = KafkaLog::open_known(options, identity.clone()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert_eq!(log.identity(), identity);
    // Refused, not of unknown outcome: nothing was handed to a broker that nobody has looked at.
    assert!(matches!(log.append("call_1", numbered(2)).await, Err(AppendError::Unavailable(_))));
    assert!(matches!(log.span(0).await, Err(LogError::Unavailable(_))));
    assert!(matches!(log.subscribe("live").await.err(), Some(LogError::Unavailable(_))));
    assert!(log.healthy().await.is_err());

    broker.restart();
    log.find().await.unwrap();
    let began = Instant::now();
    let after = loop {
        match log.append("call_1", numbered(2)).await {
            Ok(position) => break position,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
    };
    assert_eq!((after.partition, after.offset), (before.partition, before.offset + 1));
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_its_place_is_refused_as_it_would_have_been_at_the_start() {
    let topic = format!("calls.raw.away.{}", std::process::id());
    let options = |partitions, broker: &str| KafkaOptions {
        partitions,
        ..KafkaOptions::new(broker, &topic)
    };
    KafkaLog::open(options(4, broker::shared())).await.unwrap().close().await;
    // Seen at once, with another number of partitions than the settings say.
    let refused = KafkaLog::open_known(options(5, broker::shared()), "kafka:a:b".to_owned())
        .await
        .err();
    assert!(
        matches!(&refused, Some(LogError::Misconfigured(text)) if text.contains("log.partitions")),
        "{refused:?}"
    );
    // There it is, and it says itself which one it is: the installation compares.
    let log = KafkaLog::open_known(options(4, broker::shared()), "kafka:a:b".to_owned())
        .await
        .unwrap();
    assert!(log.identity().starts_with("kafka:") && log.identity() != "kafka:a:b");
    log.find().await.unwrap();
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_that_comes_later_is_never_written_to() {
    let mut broker = Broker::start();
    let options = KafkaOptions::new(&broker.address, "calls.raw.other");
    KafkaLog::open(options.clone()).await.unwrap().close().await;
    broker.signal("KILL");
    let log = KafkaLog::open_known(options, "kafka:cluster:another".to_owned()).await.unwrap();
    broker.restart();
    let refused = log.find().await;
    assert!(
        matches!(&refused, Err(LogError::Misconfigured(text)) if text.contains("migrate --take-log")),
        "{refused:?}"
    );
    assert!(matches!(log.append("call_1", numbered(1)).await, Err(AppendError::Unavailable(_))));
    assert!(matches!(log.span(0).await, Err(LogError::Misconfigured(_))));
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_the_waiting_and_an_installation_remembers_its_log() {
    let log = KafkaLog::open_known(KafkaOptions::new(NOWHERE, "t"), "kafka:a:b".to_owned())
        .await
        .unwrap();
    log.close().await;
    tokio::time::timeout(Duration::from_secs(60), log.find()).await.unwrap().unwrap();

    let database = Database::connect(&crate::server::database().await).await.unwrap();
    assert_eq!(known(&database).await.unwrap(), None);
    recognise(&database, "kafka:a:b").await.unwrap();
    assert_eq!(known(&database).await.unwrap().as_deref(), Some("kafka:a:b"));
}
