//! The event log on a real Kafka: the common suite under both group protocols, and what only this adapter promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::timeout;
use trunkline_stores::log::kafka::{GroupProtocol, KafkaLog, KafkaOptions};
use trunkline_stores::log::partitioner::partition_of;
use trunkline_stores::log::{AppendError, Delivery, EventLog, LogError, recognise, take};
use trunkline_stores::postgres::Database;

use crate::broker::{self, Broker};
use crate::log_suite::{FreshLog, PARTITIONS, Reader, fill, log_suite, number_of, numbered};

log_suite!(classic);

/// Topics beside the log.
mod values {
    crate::compacted_suite::compacted_suite!(super::classic);
}

/// The same with a copy of them on the node's disk.
mod mirrored_values {
    crate::compacted_suite::compacted_suite!(super::with_mirror);
}

/// The same again with partitions shared out by the broker (KIP-848).
mod by_broker {
    crate::log_suite::log_suite!(super::by_broker_protocol);
}

struct InKafka {
    options: KafkaOptions,
    _place: Option<tempfile::TempDir>,
}

impl FreshLog for InKafka {
    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(KafkaLog::open(self.options.clone()).await.unwrap())
    }
}

async fn classic() -> InKafka {
    InKafka {
        options: options(broker::shared()),
        _place: None,
    }
}

async fn with_mirror() -> InKafka {
    let place = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        mirror: Some(place.path().to_owned()),
        ..options(broker::shared())
    };
    InKafka {
        options,
        _place: Some(place),
    }
}

async fn by_broker_protocol() -> InKafka {
    let options = KafkaOptions {
        group_protocol: GroupProtocol::Consumer,
        ..options(broker::shared())
    };
    InKafka { options, _place: None }
}

/// A topic nobody else uses.
fn options(broker: &str) -> KafkaOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let topic = format!("calls.raw.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    KafkaOptions {
        partitions: PARTITIONS,
        ..KafkaOptions::new(broker, topic)
    }
}

fn admin(broker: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", broker).create().unwrap()
}

async fn refusal(options: KafkaOptions) -> String {
    match KafkaLog::open(options).await.err() {
        Some(LogError::Misconfigured(text)) => text,
        other => panic!("opened, or failed otherwise: {other:?}"),
    }
}

#[tokio::test]
async fn another_number_of_partitions_is_refused_with_what_to_do() {
    let options = options(broker::shared());
    KafkaLog::open(options.clone()).await.unwrap().close().await;
    let text = refusal(KafkaOptions { partitions: 5, ..options }).await;
    assert!(text.contains("set log.partitions to 4"), "{text}");
}

#[tokio::test]
async fn topics_that_would_lose_events_are_refused_with_what_to_do() {
    for (name, value) in [
        ("cleanup.policy", "compact"),
        ("retention.ms", "60000"),
        ("retention.bytes", "1000000"),
        ("max.message.bytes", "1000000"),
        ("message.timestamp.type", "CreateTime"),
    ] {
        let options = options(broker::shared());
        let good = [
            ("message.timestamp.type", "LogAppendTime"),
            ("max.message.bytes", "20000000"),
            ("retention.ms", "-1"),
        ];
        let topic = NewTopic::new(&options.topic, PARTITIONS as i32, TopicReplication::Fixed(1));
        let topic = good
            .iter()
            .filter(|(other, _)| *other != name)
            .fold(topic, |topic, (name, value)| topic.set(name, value))
            .set(name, value);
        admin(broker::shared()).create_topics([&topic], &AdminOptions::new()).await.unwrap()[0]
            .as_ref()
            .unwrap();
        let text = refusal(options).await;
        assert!(
            text.contains(&format!("{name}={value}")) && text.contains("kafka-configs --alter"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn more_copies_than_brokers_and_promises_set_away_are_refused() {
    let text = refusal(KafkaOptions {
        replication: 3,
        ..options(broker::shared())
    })
    .await;
    assert!(text.contains("kafka.replication = 3"), "{text}");
    let mut options = options(broker::shared());
    options.properties.insert("acks".into(), "1".into());
    let text = refusal(options).await;
    assert!(text.contains("acks"), "{text}");
}

#[tokio::test]
async fn a_topic_that_was_made_again_is_another_log_and_is_not_taken_silently() {
    let options = options(broker::shared());
    let database = Database::connect(&crate::server::database().await).await.unwrap();
    let log = KafkaLog::open(options.clone()).await.unwrap();
    let first = log.identity().to_owned();
    log.close().await;
    for _ in 0..2 {
        recognise(&database, &first).await.unwrap();
    }
    admin(broker::shared())
        .delete_topics(&[&options.topic], &AdminOptions::new())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let log = KafkaLog::open(options).await.unwrap();
    assert_ne!(log.identity(), first);
    let refused = recognise(&database, log.identity()).await;
    assert!(
        matches!(&refused, Err(LogError::Misconfigured(text)) if text.contains(&first) && text.contains("migrate --take-log")),
        "{refused:?}"
    );
    assert_eq!(take(&database, log.identity()).await.unwrap(), first);
    recognise(&database, log.identity()).await.unwrap();
    log.close().await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_unavailable_and_not_a_hang() {
    let began = Instant::now();
    let away = KafkaLog::open(options("127.0.0.1:1")).await;
    assert!(matches!(away.err(), Some(LogError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_that_retention_has_taken_are_gone_and_said_so() {
    let options = options(broker::shared());
    let log = KafkaLog::open(options.clone()).await.unwrap();
    let partition = partition_of("call_1", PARTITIONS);
    for number in 0..50 {
        log.append("call_1", numbered(number)).await.unwrap();
    }
    let mut reader = Reader::join(&log, "retention").await;
    assert_eq!(reader.take(50).await.len(), 50);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&options.topic, partition as i32, Offset::Offset(20))
        .unwrap();
    admin(broker::shared()).delete_records(&list, &AdminOptions::new()).await.unwrap();
    assert_eq!(log.span(partition).await.unwrap(), (20, 50));
    for outcome in [
        reader.member.start(partition, 5).await,
        reader.member.start(partition, 51).await,
        log.read(partition, 5, 1).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(LogError::Gone { begins: 20, .. })), "{outcome:?}");
    }
    reader.member.start(partition, 20).await.unwrap();
    reader.next.insert(partition, 20);
    assert_eq!(reader.take(30).await.len(), 30);
    reader.member.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_begins_where_it_asked_however_often_members_come_and_go() {
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let options = KafkaOptions {
            group_protocol: protocol,
            ..options(broker::shared())
        };
        let log = KafkaLog::open(options.clone()).await.unwrap();
        fill(&log, 0..400).await;
        // Offset 0, at which partitions are assigned, is gone in one of them.
        let cut = (0..PARTITIONS).find(|partition| *partition != 0).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&options.topic, cut as i32, Offset::Offset(20)).unwrap();
        admin(broker::shared()).delete_records(&list, &AdminOptions::new()).await.unwrap();
        for round in 0..12 {
            let mut member = log.subscribe("live").await.unwrap();
            let (mut next, mut ends) = (BTreeMap::new(), BTreeMap::new());
            while ends.len() < PARTITIONS as usize || next.iter().any(|(partition, next)| ends[partition] != *next) {
                match timeout(Duration::from_secs(30), member.next()).await.unwrap().unwrap() {
                    Delivery::Assigned { partition, .. } => {
                        let (begins, end) = log.span(partition).await.unwrap();
                        let from = (begins + round * 5).min(end);
                        member.start(partition, from).await.unwrap();
                        next.insert(partition, from);
                        ends.insert(partition, end);
                    }
                    Delivery::Batch { partition, records } => {
                        for record in records {
                            let next = next.get_mut(&partition).unwrap();
                            assert_eq!(record.position.offset, *next, "{protocol:?}, round {round}, partition {partition}");
                            *next += 1;
                        }
                    }
                    Delivery::CaughtUp { .. } => {}
                    other @ Delivery::Revoked { .. } => panic!("{other:?}"),
                }
            }
            member.close().await;
        }
        log.close().await;
    }
}

/// What writers are told, and tell, while they write.
#[derive(Default)]
struct Writing {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Writing {
    /// Reads until `count` more are acknowledged, however slow the machine is.
    async fn go_on(&self, count: usize, reader: &mut Reader) {
        let (wanted, began) = (self.acknowledged.load(Ordering::Acquire) + count, Instant::now());
        while self.acknowledged.load(Ordering::Acquire) < wanted {
            assert!(began.elapsed() < Duration::from_secs(60), "appends do not come back");
            reader.take_for(Duration::from_millis(100)).await;
        }
    }
}

/// Appends numbers until told to stop; gives those that were acknowledged, with their place, and counts the others.
async fn write_until(log: Arc<KafkaLog>, writing: Arc<Writing>, writer: u64) -> (BTreeMap<u64, (u32, i64)>, usize) {
    let (mut stored, mut others) = (BTreeMap::new(), 0);
    for number in writer * 1_000_000.. {
        if writing.stop.load(Ordering::Acquire) {
            break;
        }
        match log.append(&format!("call_{number}"), numbered(number)).await {
            Ok(position) => {
                stored.insert(number, (position.partition, position.offset));
                writing.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
            Err(AppendError::TooLarge { .. }) => panic!("wrong reason"),
            Err(_) => others += 1,
        }
    }
    (stored, others)
}

/// Everything in the log, by number; no number may be there twice.
async fn everything(log: &KafkaLog) -> BTreeMap<u64, (u32, i64)> {
    let mut found = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let end = log.span(partition).await.unwrap().1;
        for record in log.read(partition, 0, usize::MAX).await.unwrap() {
            let position = (record.position.partition, record.position.offset);
            assert_eq!(found.insert(number_of(&record), position), None, "a retry stored a record twice");
        }
        assert_eq!(
            found.values().filter(|position| position.0 == partition).count() as i64,
            end,
            "partition {partition} has a hole"
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_and_stopped_under_load_keeps_every_acknowledged_record_once() {
    let mut broker = Broker::start();
    let log = Arc::new(KafkaLog::open(options(&broker.address)).await.unwrap());
    let mut reader = Reader::join(&*log, "live").await;
    let writing = Arc::new(Writing::default());
    let writers: Vec<_> = (0..16)
        .map(|writer| tokio::spawn(write_until(log.clone(), writing.clone(), writer)))
        .collect();
    writing.go_on(300, &mut reader).await;
    broker.signal("STOP");
    reader.take_for(Duration::from_secs(5)).await;
    assert!(matches!(log.append("call_1", numbered(u64::MAX)).await, Err(AppendError::Unknown)));
    assert!(log.healthy().await.is_err());
    broker.signal("CONT");
    writing.go_on(300, &mut reader).await;
    for _ in 0..2 {
        broker.signal("KILL");
        reader.take_for(Duration::from_secs(1)).await;
        broker.restart();
        writing.go_on(300, &mut reader).await;
    }
    writing.stop.store(true, Ordering::Release);
    let (mut stored, mut others) = (BTreeMap::new(), 0);
    for writer in writers {
        let (acknowledged, unknown) = writer.await.unwrap();
        stored.extend(acknowledged);
        others += unknown;
    }
    assert!(others > 0, "all appends were acknowledged, of a broker that was away three times");
    let mut found = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for record in log.read(partition, 0, usize::MAX).await.unwrap() {
            let number = number_of(&record);
            let before = found.insert(number, (record.position.partition, record.position.offset));
            assert!(before.is_none() || number == u64::MAX, "a retry stored {number} twice");
        }
    }
    for (number, position) in &stored {
        assert_eq!(found.get(number), Some(position), "acknowledged, but not there");
    }
    // The reader, which checks order and density itself, gets to the end as well.
    let ends: i64 = futures::future::join_all((0..PARTITIONS).map(|partition| log.span(partition)))
        .await
        .into_iter()
        .map(|span| span.unwrap().1)
        .sum();
    let until = Instant::now() + Duration::from_secs(30);
    while reader.next.values().sum::<i64>() < ends {
        assert!(Instant::now() < until, "the reader stopped at {:?} of {ends}", reader.next);
        reader.take_for(Duration::from_millis(100)).await;
    }
    reader.member.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_under_load_lose_nothing_and_read_in_order() {
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let options = KafkaOptions {
            group_protocol: protocol,
            ..options(broker::shared())
        };
        let log = Arc::new(KafkaLog::open(options.clone()).await.unwrap());
        let writing = Arc::new(Writing::default());
        let writers: Vec<_> = (0..4)
            .map(|writer| tokio::spawn(write_until(log.clone(), writing.clone(), writer)))
            .collect();
        let mut members = vec![Reader::join(&*log, "live").await];
        let mut seen: BTreeSet<u64> = BTreeSet::new();
        for round in 0..8 {
            if round % 2 == 0 {
                members.push(Reader::join(&*log, "live").await);
            } else {
                let leaving: Reader = members.remove(0);
                leaving.member.close().await;
            }
            for _ in 0..10 {
                for member in &mut members {
                    for record in member.take_for(Duration::from_millis(25)).await {
                        seen.insert(number_of(&record));
                    }
                    for (partition, next) in member.next.clone() {
                        // A partition may have been taken a moment ago; then its next owner reads again what we read.
                        let _ = member.member.commit(partition, next).await;
                    }
                }
            }
        }
        writing.stop.store(true, Ordering::Release);
        let mut stored = BTreeMap::new();
        for writer in writers {
            stored.extend(writer.await.unwrap().0);
        }
        assert_eq!(everything(&log).await, stored);
        let until = Instant::now() + Duration::from_secs(30);
        while !stored.keys().all(|number| seen.contains(number)) {
            assert!(
                Instant::now() < until,
                "{protocol:?}: {} of {} records seen",
                seen.len(),
                stored.len()
            );
            for member in &mut members {
                seen.extend(member.take_for(Duration::from_millis(50)).await.iter().map(number_of));
            }
        }
        for member in members {
            member.member.close().await;
        }
        log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_neither_the_group_nor_its_memory() {
    let options = options(broker::shared());
    let log = KafkaLog::open(options.clone()).await.unwrap();
    let body = bytes::Bytes::from(vec![b'x'; 100_000]);
    let appends = (0..400).map(|number| log.append(if number % 2 == 0 { "call_1" } else { "call_2" }, body.clone()));
    assert!(futures::future::join_all(appends).await.iter().all(Result::is_ok));
    let mut slow = log.subscribe("live").await.unwrap();
    let mut held = BTreeSet::new();
    while held.len() < PARTITIONS as usize {
        if let Delivery::Assigned { partition, .. } = slow.next().await.unwrap() {
            slow.start(partition, 0).await.unwrap();
            held.insert(partition);
        }
    }
    // Not one question for longer than the session lasts.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let mut records = 0;
    while records < 400 {
        match timeout(Duration::from_secs(20), slow.next()).await.unwrap().unwrap() {
            Delivery::Batch { records: batch, .. } => {
                assert!(batch.iter().map(|record| record.bytes.len()).sum::<usize>() <= 1_200_000);
                records += batch.len();
            }
            Delivery::CaughtUp { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(records, 400);
    for partition in held {
        let end = log.span(partition).await.unwrap().1;
        slow.commit(partition, end).await.unwrap();
    }
    slow.close().await;
    log.close().await;
}

#[tokio::test]
async fn nothing_can_be_committed_or_begun_of_a_partition_that_is_not_ours() {
    let options = options(broker::shared());
    let log = KafkaLog::open(options.clone()).await.unwrap();
    fill(&log, 0..10).await;
    let mut member = log.subscribe("live").await.unwrap();
    assert!(matches!(member.commit(0, 1).await, Err(LogError::Unavailable(_))));
    assert!(matches!(member.start(99, 0).await, Err(LogError::Unavailable(_))));
    member.close().await;
    log.close().await;
}
