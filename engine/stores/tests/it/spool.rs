//! The spool in front of real logs: away, stopped, back again; torn, full, and on a disk that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use tokio::runtime::Handle;
use trunkline_core::instant::Millis;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::postgres::PostgresLog;
use trunkline_stores::postgres::{Database, EmbeddedPostgres, PostgresOptions, migrate};
use trunkline_stores::spool::{KeepError, Keeper, Kept, Refused, SpoolError, SpoolOptions};

use crate::broker::Broker;
use crate::log_postgres;
use crate::server::{self, Sweeper};

/// Rule A4.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Longer than a log needs to come back on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const CALLS: usize = 20;

fn spool(directory: &Path) -> SpoolOptions {
    SpoolOptions {
        directory: directory.to_owned(),
        bytes_max: 64 << 20,
    }
}

async fn log(at: &PostgresOptions) -> Arc<dyn EventLog> {
    let database = Database::connect(at).await.unwrap();
    Arc::new(PostgresLog::open(database, &log_postgres::options()).await.unwrap())
}

/// A log that is certainly away: one that has been closed.
async fn closed(at: &PostgresOptions) -> Arc<dyn EventLog> {
    let log = log(at).await;
    log.close().await;
    log
}

fn keeper(log: &Arc<dyn EventLog>, options: &SpoolOptions) -> Keeper {
    let begun = Instant::now();
    loop {
        match Keeper::open(log.clone(), options, &Handle::current()) {
            Ok(keeper) => return keeper,
            // The writer of the one before is still on its way out.
            Err(SpoolError::InUse(_)) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn call(n: usize) -> String {
    format!("call_{}", n % CALLS)
}

fn record(n: usize) -> Bytes {
    Bytes::from(format!("record {n:06} of {}", call(n)))
}

/// Keeps records of all calls; those of one call one after the other, as a sender would.
async fn keep(keeper: &Keeper, numbers: std::ops::Range<usize>) -> Vec<Kept> {
    let one = |first: usize, end: usize| async move {
        let mut kept = Vec::new();
        for n in (first..end).step_by(CALLS) {
            let begun = Instant::now();
            kept.push(keeper.keep(&call(n), record(n), Millis(n as i64)).await.unwrap());
            assert!(begun.elapsed() < ANSWER_WITHIN, "answered after {:?}", begun.elapsed());
        }
        kept
    };
    let (from, to) = (numbers.start, numbers.end);
    join_all((from..to.min(from + CALLS)).map(|first| one(first, to))).await.concat()
}

async fn until_handed_over(keeper: &Keeper) {
    let begun = Instant::now();
    while keeper.spool().records > 0 {
        assert!(begun.elapsed() < PATIENCE, "still spooled: {:?}", keeper.spool());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All records of the log by call, in the log's order.
async fn stored(log: &dyn EventLog) -> BTreeMap<String, Vec<Bytes>> {
    let mut found: BTreeMap<String, Vec<Bytes>> = BTreeMap::new();
    for partition in 0..log.partitions() {
        let (mut next, end) = log.span(partition).await.unwrap();
        while next < end {
            for read in log.read(partition, next, 1_000).await.unwrap() {
                next = read.position.offset + 1;
                let call = String::from_utf8(read.bytes.to_vec()).unwrap();
                let call = call.rsplit(' ').next().unwrap().to_owned();
                found.entry(call).or_default().push(read.bytes);
            }
        }
    }
    found
}

/// Every record is there; a record twice is one record (rule B1).
async fn assert_stored(log: &dyn EventLog, count: usize) {
    let stored = stored(log).await;
    let distinct: BTreeSet<&Bytes> = stored.values().flatten().collect();
    let expected: Vec<Bytes> = (0..count).map(record).collect();
    assert_eq!(distinct, expected.iter().collect(), "the log holds what was acknowledged");
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "spool"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_spooled_the_next_one_hands_over_in_the_order_of_each_call() {
    let (at, directory) = (server::database().await, tempfile::tempdir().unwrap());
    let options = spool(directory.path());
    let first = keeper(&closed(&at).await, &options);
    let kept = keep(&first, 0..600).await;
    assert!(kept.iter().all(|kept| *kept == Kept::Spooled));
    let state = first.spool();
    assert_eq!((state.records, state.oldest, state.log_away), (600, Some(Millis(0)), true));
    assert!(state.bytes > 600 * 30, "{state:?}");
    drop(first);

    let log = log(&at).await;
    let second = keeper(&log, &options);
    until_handed_over(&second).await;
    for (call, found) in stored(&*log).await {
        let n: usize = call.strip_prefix("call_").unwrap().parse().unwrap();
        assert_eq!(found, (n..600).step_by(CALLS).map(record).collect::<Vec<_>>(), "{call}");
    }
    assert_stored(&*log, 600).await;
    assert_eq!(second.keep(&call(600), record(600), Millis(600)).await.unwrap(), Kept::Logged);
    assert!(segments(directory.path()).is_empty());
    let state = second.spool();
    assert_eq!((state.bytes, state.oldest, state.log_away), (0, None, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_costs_nothing_that_was_acknowledged() {
    let (at, directory) = (server::database().await, tempfile::tempdir().unwrap());
    let options = spool(directory.path());
    let first = keeper(&closed(&at).await, &options);
    keep(&first, 0..50).await;
    drop(first);
    let log = log(&at).await;
    // What a write looks like that the machine did not finish.
    let segment = segments(directory.path()).pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    OpenOptions::new()
        .append(true)
        .open(&segment)
        .unwrap()
        .write_all(&whole[12..60])
        .unwrap();
    let second = keeper(&log, &options);
    until_handed_over(&second).await;
    assert_stored(&*log, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_refuses_and_has_room_again_when_it_is_drained() {
    let (at, directory) = (server::database().await, tempfile::tempdir().unwrap());
    let options = SpoolOptions {
        bytes_max: 4_000,
        ..spool(directory.path())
    };
    let first = keeper(&closed(&at).await, &options);
    let mut count = 0;
    let refusal = loop {
        match first.keep(&call(count), record(count), Millis(0)).await {
            Ok(kept) => assert_eq!(kept, Kept::Spooled),
            Err(error) => break error,
        }
        count += 1;
    };
    assert!(matches!(refusal, KeepError::Spool(Refused::Full)), "{refusal}");
    assert!((20..100).contains(&count), "{count}");
    drop(first);
    let log = log(&at).await;
    let second = keeper(&log, &options);
    until_handed_over(&second).await;
    assert_stored(&*log, count).await;
    assert_eq!(second.spool().bytes, 0);
}

#[tokio::test]
async fn two_processes_do_not_share_a_spool() {
    let (at, directory) = (server::database().await, tempfile::tempdir().unwrap());
    let (log, options) = (log(&at).await, spool(directory.path()));
    let _first = keeper(&log, &options);
    let second = Keeper::open(log.clone(), &options, &Handle::current());
    assert!(matches!(second.err(), Some(SpoolError::InUse(_))));
}

#[tokio::test]
async fn a_spool_of_a_later_version_is_refused_and_left_alone() {
    let (at, directory) = (server::database().await, tempfile::tempdir().unwrap());
    let path = directory.path().join("0000000000000001.spool");
    fs::write(&path, b"TLS\x02 what comes next year").unwrap();
    let opened = Keeper::open(log(&at).await, &spool(directory.path()), &Handle::current());
    assert!(matches!(opened.err(), Some(SpoolError::Foreign(_))));
    assert!(path.exists());
}

/// RX-19. Needs the right to mount; where that is missing it says so and tests nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rx19_a_disk_that_is_full_is_never_acknowledged() {
    let (at, directory) = (server::database().await, tempfile::tempdir().unwrap());
    let mount = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(directory.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("this account cannot mount a small disk: a full disk under the spool is not tested here");
        return;
    }
    let closed = closed(&at).await;
    let first = keeper(&closed, &spool(directory.path()));
    let large = |n: usize| Bytes::from([record(n).as_ref(), " ".repeat(1 << 20).as_bytes(), b" call_0"].concat());
    let mut kept = 0;
    let refusal = loop {
        match first.keep("call_0", large(kept), Millis(0)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refusal, KeepError::Spool(Refused::Disk(_))), "{refusal}");
    assert!((4..8).contains(&kept), "{kept}");
    assert!(first.spool().is_unusable());
    assert_eq!(first.spool().records, kept as u64, "what was refused is not counted");
    drop(first);
    let log = log(&at).await;
    let second = keeper(&log, &spool(directory.path()));
    until_handed_over(&second).await;
    let found = stored(&*log).await;
    assert_eq!(found["call_0"], (0..kept).map(large).collect::<Vec<_>>());
    drop(second);
    // Lazily: the writer of the spool may still be on its way out.
    assert!(Command::new("umount").arg("-l").arg(directory.path()).status().unwrap().success());
}

fn signal(pid: u32, name: &str) {
    assert!(
        Command::new("kill")
            .args([&format!("-{name}"), &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// A server and the processes that serve its connections.
fn family(server: u32) -> Vec<u32> {
    let output = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &server.to_string()])
        .output()
        .unwrap();
    let children = String::from_utf8(output.stdout).unwrap();
    let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
    std::iter::once(server).chain(children).collect()
}

/// Keeps records until the log takes one itself again; how far it came.
async fn until_logged(keeper: &Keeper, from: usize) -> usize {
    let begun = Instant::now();
    for n in from.. {
        if keep(keeper, n..n + 1).await == [Kept::Logged] {
            return n + 1;
        }
        assert!(begun.elapsed() < PATIENCE, "the log takes nothing: {:?}", keeper.spool());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("numbers do not end");
}

/// Load before, while and after `stop` and `go` act on the log: every answer is yes, and comes in time.
async fn ride_out(log: Arc<dyn EventLog>, stop: impl FnOnce(), go: impl FnOnce()) {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(&log, &spool(directory.path()));
    let before = until_logged(&keeper, 0).await;
    stop();
    let stopped = before + 800;
    let kept = keep(&keeper, before..stopped).await;
    assert!(
        kept.iter().all(|kept| *kept == Kept::Spooled),
        "the log took something while it was stopped"
    );
    assert!(keeper.spool().log_away);
    go();
    let after = stopped + 400;
    keep(&keeper, stopped..after).await;
    until_handed_over(&keeper).await;
    let all = until_logged(&keeper, after).await;
    until_handed_over(&keeper).await;
    assert_stored(&*log, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rx01_postgres_stands_still_under_load_and_every_event_is_kept() {
    let data = server::directory();
    let server = EmbeddedPostgres::start(&server::quick(&data)).await.unwrap();
    let pid = server.process_id().unwrap();
    let _sweeper = Sweeper::watch(&data, pid);
    migrate(&server.options()).await.unwrap();
    let log = log(&server.options()).await;
    let stopped = std::cell::RefCell::new(Vec::new());
    let stop = || {
        // The server first, so that it makes no further processes.
        signal(pid, "STOP");
        let family = family(pid);
        family[1..].iter().for_each(|pid| signal(*pid, "STOP"));
        stopped.replace(family);
    };
    ride_out(log, stop, || stopped.borrow().iter().for_each(|pid| signal(*pid, "CONT"))).await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rx01_a_broker_stands_still_under_load_and_every_event_is_kept() {
    let broker = Broker::start();
    let log = KafkaLog::open(KafkaOptions::new(&broker.address, "calls.raw.spool")).await.unwrap();
    ride_out(Arc::new(log), || broker.signal("STOP"), || broker.signal("CONT")).await;
}
