//! What every event log must do, whatever it is kept in: one suite, run over each adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::timeout;
use trunkline_core::instant::Millis;
use trunkline_core::limit::RECORD_BYTES;
use trunkline_stores::log::partitioner::partition_of;
use trunkline_stores::log::{AppendError, Delivery, EventLog, INTENT_BYTES, LogError, LogRecord, Mark, Position, Subscription};

/// Partitions of every log of the suite.
pub const PARTITIONS: u32 = 4;

/// Nothing takes longer than this, also with a broker that takes seconds to form a group.
const PATIENCE: Duration = Duration::from_secs(60);

/// An empty log that can be opened by several clients.
pub trait FreshLog: Send + Sync + 'static {
    /// Another client of this log.
    fn open(&self) -> impl Future<Output = Arc<dyn EventLog>> + Send;
}

/// Runs every case of the suite over logs that `$fresh().await` makes.
macro_rules! log_suite {
    ($fresh:path) => {
        crate::log_suite::log_suite!(@ $fresh:
            a_record_comes_back_as_it_went_in
            records_of_one_caller_keep_their_order
            records_handed_over_together_are_counted_up_to_the_first_refused
            offsets_are_dense_under_eight_writers
            an_acknowledged_record_is_there_for_the_next_client
            a_group_goes_on_where_it_committed
            groups_do_not_see_each_other
            the_end_is_announced_once_each_time_it_is_reached
            a_paused_partition_is_silent_until_it_goes_on
            a_reader_may_begin_again_elsewhere
            an_offset_is_found_by_its_time
            ten_mebibytes_pass_and_too_much_is_refused
            members_share_partitions_and_hand_them_over
            a_waiting_reader_hears_of_a_record_soon
            a_question_that_is_dropped_loses_nothing
            a_closed_log_takes_nothing_more
            a_log_keeps_its_identity
            what_a_group_is_about_to_do_is_told_to_the_next_owner_until_it_is_done
        );
    };
    (@ $fresh:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::log_suite::$case($fresh().await).await;
            }
        )*
    };
}
pub(crate) use log_suite;

pub async fn a_record_comes_back_as_it_went_in(fresh: impl FreshLog) {
    let log = fresh.open().await;
    assert_eq!(log.partitions(), PARTITIONS);
    let body = Bytes::from((0..=255).cycle().take(5_000).collect::<Vec<u8>>());
    let before = now();
    let position = log.append("call_1", body.clone()).await.unwrap();
    assert_eq!(
        position,
        Position {
            partition: partition_of("call_1", PARTITIONS),
            offset: 0
        }
    );
    let empty = log.append("call_1", Bytes::new()).await.unwrap();
    assert_eq!(empty.offset, 1);
    let read = log.read(position.partition, 0, 10).await.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].position, &read[0].bytes), (position, &body));
    assert!(read[1].bytes.is_empty());
    assert!(read[0].appended_at.0 >= before.0 - 1_000 && read[0].appended_at.0 <= now().0 + 1_000);
    assert_eq!(log.span(position.partition).await.unwrap(), (0, 2));
    assert_eq!(log.read(position.partition, 2, 10).await.unwrap().len(), 0);
    log.healthy().await.unwrap();
    log.close().await;
}

pub async fn records_of_one_caller_keep_their_order(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let partition = partition_of("call_1", PARTITIONS);
    // Begun in this order, though not waited for one by one.
    let appends = (0..200).map(|number| log.append("call_1", numbered(number)));
    for (number, position) in futures::future::join_all(appends).await.into_iter().enumerate() {
        assert_eq!(
            position.unwrap(),
            Position {
                partition,
                offset: number as i64
            }
        );
    }
    let read = log.read(partition, 0, 1_000).await.unwrap();
    assert_eq!(read.iter().map(number_of).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    log.close().await;
}

pub async fn records_handed_over_together_are_counted_up_to_the_first_refused(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let mut records: Vec<Bytes> = (0..100).map(numbered).collect();
    let (stored, error) = log.append_in_order("call_1", &records).await;
    assert!(stored == 100 && error.is_none(), "{stored} {error:?}");
    records.truncate(3);
    records.insert(2, Bytes::from(vec![0; RECORD_BYTES + 1]));
    let (stored, error) = log.append_in_order("call_1", &records).await;
    assert!(
        stored == 2 && matches!(error, Some(AppendError::TooLarge { .. })),
        "{stored} {error:?}"
    );
    let read = log.read(partition_of("call_1", PARTITIONS), 0, 1_000).await.unwrap();
    let expected: Vec<u64> = (0..100).chain(0..2).collect();
    assert_eq!(read.iter().map(number_of).take(102).collect::<Vec<_>>(), expected);
    log.close().await;
}

pub async fn offsets_are_dense_under_eight_writers(fresh: impl FreshLog) {
    let clients = [fresh.open().await, fresh.open().await];
    let writers = (0..8_u64).map(|writer| {
        let log = clients[(writer % 2) as usize].clone();
        tokio::spawn(async move {
            let mut stored = Vec::new();
            for round in 0..20 {
                let burst = (0..10).map(|step| {
                    let number = writer * 1_000 + round * 10 + step;
                    let log = log.clone();
                    async move { (log.append(&format!("call_{number}"), numbered(number)).await.unwrap(), number) }
                });
                stored.extend(futures::future::join_all(burst).await);
            }
            stored
        })
    });
    let mut stored = BTreeMap::new();
    for written in futures::future::join_all(writers).await {
        for (position, number) in written.unwrap() {
            assert_eq!(stored.insert(position, number), None, "an offset was given twice");
        }
    }
    assert_eq!(stored.len(), 1_600);
    for partition in 0..PARTITIONS {
        let (begins, end) = clients[0].span(partition).await.unwrap();
        assert_eq!(begins, 0);
        let read = clients[1].read(partition, 0, 10_000).await.unwrap();
        assert_eq!(read.len() as i64, end, "partition {partition} has a hole");
        for record in &read {
            assert_eq!(stored.remove(&record.position), Some(number_of(record)));
        }
    }
    assert!(stored.is_empty());
    for log in clients {
        log.close().await;
    }
}

pub async fn an_acknowledged_record_is_there_for_the_next_client(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let appends = (0..100).map(|number| log.append("call_1", numbered(number)));
    assert!(futures::future::join_all(appends).await.iter().all(Result::is_ok));
    log.close().await;
    let log = fresh.open().await;
    let read = log.read(partition_of("call_1", PARTITIONS), 0, 1_000).await.unwrap();
    assert_eq!(read.iter().map(number_of).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    log.close().await;
}

pub async fn a_group_goes_on_where_it_committed(fresh: impl FreshLog) {
    let log = fresh.open().await;
    fill(&*log, 0..100).await;
    let mut reader = Reader::join(&*log, "live").await;
    assert_eq!(reader.take(100).await.len(), 100);
    let done = reader.next.clone();
    for (partition, next) in &done {
        reader.member.commit(*partition, *next).await.unwrap();
    }
    reader.member.close().await;
    assert_eq!(log.committed("live").await.unwrap().into_iter().collect::<BTreeMap<_, _>>(), done);
    log.close().await;

    let log = fresh.open().await;
    fill(&*log, 100..150).await;
    let mut reader = Reader::join(&*log, "live").await;
    let numbers: BTreeSet<u64> = reader.take(50).await.iter().map(number_of).collect();
    assert_eq!(numbers, (100..150).collect());
    reader.member.close().await;
    log.close().await;
}

pub async fn groups_do_not_see_each_other(fresh: impl FreshLog) {
    let log = fresh.open().await;
    fill(&*log, 0..40).await;
    let mut live = Reader::join(&*log, "live").await;
    assert_eq!(live.take(40).await.len(), 40);
    for (partition, next) in live.next.clone() {
        live.member.commit(partition, next).await.unwrap();
    }
    let mut facts = Reader::join(&*log, "facts").await;
    assert_eq!(facts.take(40).await.len(), 40);
    assert_eq!(log.committed("facts").await.unwrap(), []);
    live.member.close().await;
    facts.member.close().await;
    log.close().await;
}

pub async fn the_end_is_announced_once_each_time_it_is_reached(fresh: impl FreshLog) {
    let log = fresh.open().await;
    fill(&*log, 0..20).await;
    let mut reader = Reader::join(&*log, "live").await;
    reader.take(20).await;
    reader.until_caught_up(PARTITIONS as usize).await;
    for partition in 0..PARTITIONS {
        assert_eq!(
            reader.caught_up[&partition],
            vec![log.span(partition).await.unwrap().1],
            "partition {partition}"
        );
    }
    reader.silent_for(Duration::from_millis(1_500)).await;
    let position = log.append("call_1", numbered(20)).await.unwrap();
    assert_eq!(reader.take(1).await[0].position, position);
    reader.until_caught_up(PARTITIONS as usize + 1).await;
    assert_eq!(reader.caught_up[&position.partition].last(), Some(&(position.offset + 1)));
    reader.member.close().await;
    log.close().await;
}

pub async fn a_paused_partition_is_silent_until_it_goes_on(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let mut reader = Reader::join(&*log, "live").await;
    reader.until_caught_up(PARTITIONS as usize).await;
    let paused = partition_of("call_1", PARTITIONS);
    reader.member.pause(paused);
    let hidden = log.append("call_1", numbered(1)).await.unwrap();
    let other = (0..)
        .map(|n| format!("call_{n}"))
        .find(|key| partition_of(key, PARTITIONS) != paused)
        .unwrap();
    let shown = log.append(&other, numbered(2)).await.unwrap();
    assert_eq!(reader.take(1).await[0].position, shown);
    reader.until_caught_up(PARTITIONS as usize + 1).await;
    reader.silent_for(Duration::from_millis(1_500)).await;
    reader.member.resume(paused);
    assert_eq!(reader.take(1).await[0].position, hidden);
    reader.member.close().await;
    log.close().await;
}

pub async fn a_reader_may_begin_again_elsewhere(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let partition = partition_of("call_1", PARTITIONS);
    for number in 0..30 {
        log.append("call_1", numbered(number)).await.unwrap();
    }
    let mut reader = Reader::join(&*log, "live").await;
    assert_eq!(reader.take(30).await.len(), 30);
    reader.member.start(partition, 10).await.unwrap();
    reader.next.insert(partition, 10);
    let again: Vec<u64> = reader.take(20).await.iter().map(number_of).collect();
    assert_eq!(again, (10..30).collect::<Vec<_>>());
    reader.member.close().await;
    log.close().await;
}

pub async fn an_offset_is_found_by_its_time(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let partition = partition_of("call_1", PARTITIONS);
    assert_eq!(log.offset_at(partition, Millis(0)).await.unwrap(), 0);
    for number in 0..30 {
        log.append("call_1", numbered(number)).await.unwrap();
        if number % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
    let read = log.read(partition, 0, 100).await.unwrap();
    let times: Vec<i64> = read.iter().map(|record| record.appended_at.0).collect();
    assert!(times.is_sorted() && times[0] < times[29]);
    for moment in times.iter().flat_map(|time| [*time, time + 1]).chain([0, times[29] + 60_000]) {
        let expected = times.partition_point(|time| *time < moment) as i64;
        assert_eq!(log.offset_at(partition, Millis(moment)).await.unwrap(), expected);
    }
    log.close().await;
}

pub async fn ten_mebibytes_pass_and_too_much_is_refused(fresh: impl FreshLog) {
    let log = fresh.open().await;
    // Not compressible, so that it is as large on its way.
    let mut state = 1_u64;
    let noise = (0..10 * 1024 * 1024).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let body = Bytes::from(noise.collect::<Vec<u8>>());
    let position = log.append("call_1", body.clone()).await.unwrap();
    log.append("call_1", numbered(1)).await.unwrap();
    let refused = log.append("call_1", Bytes::from(vec![0; RECORD_BYTES + 1])).await;
    assert!(
        matches!(refused, Err(AppendError::TooLarge { limit: RECORD_BYTES, .. })),
        "{refused:?}"
    );
    let mut reader = Reader::join(&*log, "live").await;
    let read = reader.take(2).await;
    assert_eq!(read[0].position, position);
    assert!(read[0].bytes == body, "the record came back changed");
    assert_eq!(number_of(&read[1]), 1);
    reader.member.close().await;
    log.close().await;
}

pub async fn members_share_partitions_and_hand_them_over(fresh: impl FreshLog) {
    let (one, two) = (fresh.open().await, fresh.open().await);
    let mut first = Reader::join(&*one, "live").await;
    first.until_holding(PARTITIONS as usize).await;
    fill(&*one, 0..40).await;
    assert_eq!(first.take(40).await.len(), 40);
    for (partition, next) in first.next.clone() {
        first.member.commit(partition, next).await.unwrap();
    }
    let mut second = Reader::join(&*two, "live").await;
    // However they share, the two never hold one partition at once.
    for _ in 0..10 {
        first.look(Duration::from_millis(100)).await;
        second.look(Duration::from_millis(100)).await;
    }
    first.settle(&mut second).await;
    assert!(first.next.keys().all(|partition| !second.next.contains_key(partition)));
    first.member.close().await;
    one.close().await;
    second.until_holding(PARTITIONS as usize).await;
    fill(&*two, 40..60).await;
    let numbers: BTreeSet<u64> = second.take(20).await.iter().map(number_of).collect();
    assert_eq!(numbers, (40..60).collect(), "the second member goes on where the first committed");
    second.member.close().await;
    two.close().await;
}

pub async fn a_waiting_reader_hears_of_a_record_soon(fresh: impl FreshLog) {
    // Reader and writer are different clients, as in different processes.
    let (reading, writing) = (fresh.open().await, fresh.open().await);
    let mut reader = Reader::join(&*reading, "live").await;
    reader.until_caught_up(PARTITIONS as usize).await;
    let mut delays = Vec::new();
    for number in 0..40 {
        writing.append(&format!("call_{number}"), numbered(number)).await.unwrap();
        let acknowledged = std::time::Instant::now();
        reader.take(1).await;
        delays.push(acknowledged.elapsed());
    }
    delays.sort();
    // The middle, since other tests share this machine; the worst case is a matter for benches.
    assert!(delays[delays.len() / 2] < Duration::from_millis(100), "{delays:?}");
    reader.member.close().await;
    reading.close().await;
    writing.close().await;
}

pub async fn a_question_that_is_dropped_loses_nothing(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let mut reader = Reader::join(&*log, "live").await;
    reader.until_caught_up(PARTITIONS as usize).await;
    let writer = log.clone();
    let writing = tokio::spawn(async move { fill(&*writer, 0..300).await });
    let mut numbers = BTreeSet::new();
    let until = tokio::time::Instant::now() + PATIENCE;
    for wait in (0..).map(|round: u64| Duration::from_micros(round * 37 % 3_000)) {
        assert!(tokio::time::Instant::now() < until, "only {} of 300 came", numbers.len());
        if let Ok(delivery) = timeout(wait, reader.member.next()).await {
            for record in reader.note(delivery.unwrap()).await {
                assert!(numbers.insert(number_of(&record)), "a record came twice");
            }
        }
        if numbers.len() == 300 {
            break;
        }
    }
    writing.await.unwrap();
    reader.member.close().await;
    log.close().await;
}

pub async fn a_log_keeps_its_identity(fresh: impl FreshLog) {
    let (one, other) = (fresh.open().await, fresh.open().await);
    assert_eq!(one.identity(), other.identity());
    assert!(
        one.identity()
            .split_once(':')
            .is_some_and(|(kind, id)| !kind.is_empty() && id.len() > 20)
    );
    one.close().await;
    other.close().await;
}

pub async fn what_a_group_is_about_to_do_is_told_to_the_next_owner_until_it_is_done(fresh: impl FreshLog) {
    let log = fresh.open().await;
    fill(&*log, 0..40).await;
    let long = "x".repeat(INTENT_BYTES);
    let mut reader = Reader::join(&*log, "facts").await;
    reader.until_holding(PARTITIONS as usize).await;
    let mark = |partition, next, intent: Option<&str>| Mark {
        partition,
        next,
        intent: intent.map(str::to_owned),
    };
    let marks = [mark(0, 0, Some("a plan")), mark(1, 1, Some(&long)), mark(2, 0, Some("soon done"))];
    reader.member.mark(&marks).await.unwrap();
    reader.member.mark(&[mark(2, 2, None)]).await.unwrap();
    reader.member.close().await;
    let mut told = BTreeMap::new();
    let mut next_owner = log.subscribe("facts").await.unwrap();
    while told.len() < PARTITIONS as usize {
        if let Delivery::Assigned { partition, next, intent } = timeout(PATIENCE, next_owner.next()).await.unwrap().unwrap() {
            told.insert(partition, (next, intent));
        }
    }
    assert_eq!(told[&0], (Some(0), Some("a plan".to_owned())));
    assert_eq!(told[&1], (Some(1), Some(long)));
    assert_eq!((&told[&2], &told[&3]), (&(Some(2), None), &(None, None)));
    next_owner.close().await;
    log.close().await;
}

pub async fn a_closed_log_takes_nothing_more(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let begun: Vec<_> = (0..50)
        .map(|number| {
            let log = log.clone();
            tokio::spawn(async move { log.append("call_1", numbered(number)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    log.close().await;
    let mut stored = 0;
    for append in begun {
        match append.await.unwrap() {
            Ok(_) => stored += 1,
            Err(AppendError::Unavailable(_)) => {}
            Err(other) => panic!("after an orderly close every caller knows its fate: {other}"),
        }
    }
    assert!(matches!(log.append("call_1", numbered(1)).await, Err(AppendError::Unavailable(_))));
    let log = fresh.open().await;
    assert_eq!(
        log.span(partition_of("call_1", PARTITIONS)).await.unwrap().1,
        stored,
        "refused means not stored"
    );
    log.close().await;
}

/// A member that answers as a log reader does, and checks what every delivery must satisfy.
pub struct Reader {
    pub member: Box<dyn Subscription>,
    /// Next offset of each partition held.
    pub next: BTreeMap<u32, i64>,
    /// Partitions that were taken away again before they could be begun, and of which that is not delivered yet.
    lost: BTreeSet<u32>,
    /// Ends announced, by partition.
    pub caught_up: BTreeMap<u32, Vec<i64>>,
}

impl Reader {
    pub async fn join(log: &dyn EventLog, group: &str) -> Self {
        Self {
            member: log.subscribe(group).await.unwrap(),
            next: BTreeMap::new(),
            lost: BTreeSet::new(),
            caught_up: BTreeMap::new(),
        }
    }

    /// Notes a delivery and returns its records.
    pub async fn note(&mut self, delivery: Delivery) -> Vec<LogRecord> {
        match delivery {
            Delivery::Assigned { partition, next, .. } => {
                assert!(!self.next.contains_key(&partition), "assigned twice");
                let from = next.unwrap_or(0);
                match self.member.start(partition, from).await {
                    Ok(()) => drop(self.next.insert(partition, from)),
                    // Taken away meanwhile: that is delivered next.
                    Err(LogError::Unavailable(_)) => assert!(self.lost.insert(partition), "assigned twice"),
                    Err(other) => panic!("{other}"),
                }
            }
            Delivery::Revoked { partition } => {
                let was_assigned = self.next.remove(&partition).is_some() || self.lost.remove(&partition);
                assert!(was_assigned, "revoked, but never assigned");
            }
            Delivery::CaughtUp { partition, next } => {
                assert_eq!(self.next[&partition], next);
                self.caught_up.entry(partition).or_default().push(next);
            }
            Delivery::Batch { partition, records } => {
                assert!(!records.is_empty());
                let next = self.next.get_mut(&partition).expect("records only of partitions held");
                for record in &records {
                    assert_eq!(record.position, Position { partition, offset: *next }, "order or density broken");
                    *next += 1;
                }
                return records;
            }
        }
        Vec::new()
    }

    async fn one(&mut self) -> Vec<LogRecord> {
        let delivery = timeout(PATIENCE, self.member.next()).await.expect("nothing came").unwrap();
        self.note(delivery).await
    }

    /// Reads until `count` records are in.
    pub async fn take(&mut self, count: usize) -> Vec<LogRecord> {
        let mut records = Vec::new();
        while records.len() < count {
            records.extend(self.one().await);
        }
        assert_eq!(records.len(), count, "more came than was written");
        records
    }

    /// Reads until `count` ends have been announced in all; no records may come meanwhile.
    async fn until_caught_up(&mut self, count: usize) {
        while self.caught_up.values().map(Vec::len).sum::<usize>() < count {
            assert!(self.one().await.is_empty(), "records came where only marks were due");
        }
    }

    async fn until_holding(&mut self, count: usize) {
        while self.next.len() < count {
            self.one().await;
        }
    }

    /// Takes whatever comes within `span`.
    async fn look(&mut self, span: Duration) {
        while let Ok(delivery) = timeout(span, self.member.next()).await {
            self.note(delivery.unwrap()).await;
        }
    }

    /// Waits until the two hold all partitions between them.
    async fn settle(&mut self, other: &mut Self) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while self.next.len() + other.next.len() != PARTITIONS as usize {
            assert!(tokio::time::Instant::now() < until, "partitions do not settle");
            self.look(Duration::from_millis(200)).await;
            other.look(Duration::from_millis(200)).await;
        }
    }

    /// The records that come within `span`.
    pub async fn take_for(&mut self, span: Duration) -> Vec<LogRecord> {
        let until = tokio::time::Instant::now() + span;
        let mut records = Vec::new();
        while let Ok(delivery) = tokio::time::timeout_at(until, self.member.next()).await {
            records.extend(self.note(delivery.unwrap()).await);
        }
        records
    }

    async fn silent_for(&mut self, span: Duration) {
        if let Ok(delivery) = timeout(span, self.member.next()).await {
            panic!("nothing was due, but {:?} came", delivery);
        }
    }
}

/// Appends the numbers in `range`, each under a key of its own.
pub async fn fill(log: &dyn EventLog, range: std::ops::Range<u64>) {
    let appends = range.map(|number| async move { log.append(&format!("call_{number}"), numbered(number)).await.unwrap() });
    futures::future::join_all(appends).await;
}

/// A record that carries a number.
pub fn numbered(number: u64) -> Bytes {
    Bytes::from(format!("{{\"number\":{number}}}"))
}

/// The number a record carries.
pub fn number_of(record: &LogRecord) -> u64 {
    let text = std::str::from_utf8(&record.bytes).unwrap();
    text.trim_start_matches("{\"number\":").trim_end_matches('}').parse().unwrap()
}

fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}
