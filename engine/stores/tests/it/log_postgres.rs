//! The event log on Postgres: the common suite, and what only this adapter promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use trunkline_core::instant::Millis;
use trunkline_stores::log::partitioner::partition_of;
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::log::{AppendError, Delivery, EventLog, LogError};
use trunkline_stores::postgres::{Database, PostgresOptions};

use crate::log_suite::{FreshLog, PARTITIONS, Reader, fill, log_suite, number_of, numbered};
use crate::server;

log_suite!(fresh);

/// Topics beside the log.
mod values {
    crate::compacted_suite::compacted_suite!(super::fresh);
}

struct InPostgres(PostgresOptions);

impl FreshLog for InPostgres {
    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(open(&self.0).await)
    }
}

async fn fresh() -> InPostgres {
    InPostgres(server::database().await)
}

pub fn options() -> LogOptions {
    LogOptions {
        partitions: PARTITIONS,
        ..LogOptions::default()
    }
}

async fn open(at: &PostgresOptions) -> PostgresLog {
    PostgresLog::open(Database::connect(at).await.unwrap(), &options()).await.unwrap()
}

async fn owner(at: &PostgresOptions) -> tokio_postgres::Client {
    use secrecy::ExposeSecret as _;
    let url = at.owner_url.as_ref().unwrap().expose_secret();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_commit() {
    let at = server::database().await;
    let log = open(&at).await;
    fill(&log, 0..1_000).await;
    let row = owner(&at)
        .await
        .query_one("SELECT count(DISTINCT xmin::text), count(*) FROM log_records", &[])
        .await
        .unwrap();
    let (commits, records): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(records, 1_000);
    assert!(commits < 100, "{commits} commits for {records} records");
    log.close().await;
}

#[tokio::test]
async fn another_number_of_partitions_is_refused_with_what_to_do() {
    let at = server::database().await;
    open(&at).await.close().await;
    let database = Database::connect(&at).await.unwrap();
    let other = PostgresLog::open(
        database,
        &LogOptions {
            partitions: 5,
            ..options()
        },
    )
    .await;
    match other.err() {
        Some(LogError::Misconfigured(text)) => assert!(text.contains("set it to 4"), "{text}"),
        other => panic!("opened, or failed otherwise: {other:?}"),
    }
}

#[tokio::test]
async fn forgetting_cuts_only_the_beginning() {
    let at = server::database().await;
    let log = open(&at).await;
    let partition = partition_of("call_1", PARTITIONS);
    for number in 0..10 {
        log.append("call_1", numbered(number)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    for number in 10..15 {
        log.append("call_1", numbered(number)).await.unwrap();
    }
    let cut = log.read(partition, 10, 1).await.unwrap()[0].appended_at;
    assert_eq!(log.forget_before(cut).await.unwrap(), 10);
    assert_eq!(log.span(partition).await.unwrap(), (10, 15));
    assert_eq!(log.offset_at(partition, Millis(0)).await.unwrap(), 10);
    let gone = log.read(partition, 3, 5).await;
    assert!(matches!(gone, Err(LogError::Gone { wanted: 3, begins: 10, .. })), "{gone:?}");
    assert_eq!(
        log.read(partition, 10, 50).await.unwrap().iter().map(number_of).collect::<Vec<_>>(),
        [10, 11, 12, 13, 14]
    );

    // A group that stands before the cut is told, and goes on where its reader decides.
    let mut member = log.subscribe("late").await.unwrap();
    loop {
        if let Delivery::Assigned { partition: assigned, .. } = member.next().await.unwrap()
            && assigned == partition
        {
            break;
        }
    }
    assert!(matches!(member.start(partition, 3).await, Err(LogError::Gone { begins: 10, .. })));
    member.start(partition, 10).await.unwrap();
    // Everything goes; the next offset stays.
    assert_eq!(log.forget_before(Millis(i64::MAX)).await.unwrap(), 5);
    assert_eq!(log.span(partition).await.unwrap(), (15, 15));
    assert_eq!(log.append("call_1", numbered(15)).await.unwrap().offset, 15);
    member.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_session_dies_is_told_and_comes_back() {
    let at = server::database().await;
    let log = open(&at).await;
    fill(&log, 0..20).await;
    let mut reader = Reader::join(&log, "live").await;
    reader.take(20).await;
    assert_eq!(reader.next.len(), PARTITIONS as usize);
    let before = reader.next.clone();
    // As a network fault or an administrator would; only the sessions that hold locks.
    let ended = owner_kills_lock_holders(&at).await;
    assert_eq!(ended, 1);
    let mut revoked = 0;
    while revoked < PARTITIONS {
        match reader.member.next().await.unwrap() {
            Delivery::Revoked { partition } => {
                reader.next.remove(&partition);
                let late = reader.member.commit(partition, before[&partition]).await;
                assert!(late.is_err(), "who has lost a partition cannot commit it");
                revoked += 1;
            }
            Delivery::CaughtUp { .. } => {}
            other => panic!("{other:?} while the partitions are lost"),
        }
    }
    // Nothing was committed, so all of it comes again.
    assert_eq!(reader.take(20).await.len(), 20);
    log.append("call_1", numbered(20)).await.unwrap();
    assert_eq!(reader.take(1).await.len(), 1);
    reader.member.close().await;
    log.close().await;
}

async fn owner_kills_lock_holders(at: &PostgresOptions) -> u64 {
    // The application's own role may end its own sessions.
    let database = owner(at).await;
    database.batch_execute("SET ROLE trunkline_app").await.unwrap();
    let sql = "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
               WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()) holders";
    database.query(sql, &[]).await.unwrap().len() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_an_ended_session_tell_the_truth_and_go_on() {
    let at = server::database().await;
    let log = Arc::new(open(&at).await);
    let stop = tokio_util::sync::CancellationToken::new();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let writing: Vec<_> = (0..4_u64)
        .map(|writer| {
            let (log, stop, acknowledged) = (log.clone(), stop.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let (mut stored, mut not_stored) = (Vec::new(), Vec::new());
                for number in (0..).map(|step| writer * 1_000_000 + step) {
                    if stop.is_cancelled() {
                        return (stored, not_stored);
                    }
                    match log.append(&format!("call_{number}"), numbered(number)).await {
                        Ok(position) => {
                            stored.push((position, number));
                            acknowledged.fetch_add(1, Ordering::AcqRel);
                        }
                        Err(AppendError::Unavailable(_)) => not_stored.push(number),
                        Err(AppendError::Unknown) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                unreachable!("numbers do not run out")
            })
        })
        .collect();
    let killer = owner(&at).await;
    killer.batch_execute("SET ROLE trunkline_app").await.unwrap();
    for _ in 0..10 {
        // They came back after the last time, however slow the machine is.
        let wanted = acknowledged.load(Ordering::Acquire) + 20;
        let came_back = async {
            while acknowledged.load(Ordering::Acquire) < wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), came_back)
            .await
            .expect("the writers did not come back");
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%log_append%'";
        killer.query(sql, &[]).await.unwrap();
    }
    stop.cancel();
    let mut ends = Vec::new();
    for writer in writing {
        ends.push(writer.await.unwrap());
    }
    let mut by_position = std::collections::BTreeMap::new();
    let mut present = std::collections::BTreeSet::new();
    for partition in 0..PARTITIONS {
        for (offset, record) in log.read(partition, 0, usize::MAX).await.unwrap().iter().enumerate() {
            assert_eq!(record.position.offset, offset as i64);
            assert!(present.insert(number_of(record)), "stored twice");
            by_position.insert(record.position, number_of(record));
        }
    }
    for (stored, not_stored) in ends {
        for (position, number) in stored {
            assert_eq!(by_position.get(&position), Some(&number), "acknowledged, but not there");
        }
        assert!(
            not_stored.iter().all(|number| !present.contains(number)),
            "told not stored, but it is"
        );
    }
    log.close().await;
}

#[tokio::test]
async fn a_log_without_its_schema_says_so() {
    let at = server::empty_database().await;
    let database = Database::connect(&at).await.unwrap();
    let opened = PostgresLog::open(database, &options()).await;
    assert!(matches!(opened.err(), Some(LogError::Misconfigured(_))));
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_harms_nobody() {
    let at = server::database().await;
    let log = open(&at).await;
    for number in 0..200 {
        let append = log.append("call_1", Bytes::from(vec![b'x'; 2_000]));
        let _ = tokio::time::timeout(Duration::from_micros(number * 20), append).await;
    }
    let position = log.append("call_1", numbered(1)).await.unwrap();
    let read = log.read(position.partition, 0, 1_000).await.unwrap();
    assert_eq!(read.len() as i64, position.offset + 1);
    log.close().await;
}
