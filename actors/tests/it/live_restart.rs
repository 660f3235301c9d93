//! Restarts over the real logs: the process dies in the middle of a checkpoint, at one point after the other, and the next one has the
//! boards, calls and words that a reading of the whole log gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::watch;
use trunkline_actors::live::{Engine, EngineOptions, Limits, Live};
use trunkline_actors::{BoardScope, CallScope, Clock};
use trunkline_core::access::Sight;
use trunkline_core::door;
use trunkline_core::facts::{CallFacts, Item};
use trunkline_core::instant::Millis;
use trunkline_core::metric::Board;
use trunkline_core::record::Source;
use trunkline_stores::log::compacted::{CompactedTopic, Put, PutError, Reading};
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::log::{AppendError, EventLog, LogError, LogRecord, Position, Subscription};
use trunkline_stores::postgres::{Database, Directory, EmbeddedOptions, EmbeddedPostgres, migrate};
use uuid::Uuid;

use crate::harness::*;
use crate::live_figures::storm;

const PARTITIONS: u32 = 3;

/// The log of a process that dies after so many changes of its checkpoints; what it has sent until then is there.
struct Dying {
    inner: Arc<dyn EventLog>,
    left: Arc<AtomicI64>,
}

struct DyingTopic {
    inner: Arc<dyn CompactedTopic>,
    left: Arc<AtomicI64>,
}

#[async_trait]
impl CompactedTopic for DyingTopic {
    async fn claim(&self, partition: u32) -> Result<i64, LogError> {
        self.inner.claim(partition).await
    }

    async fn put(&self, partition: u32, epoch: i64, mut puts: Vec<Put>) -> Result<(), PutError> {
        let wanted = puts.len() as i64;
        let left = self.left.fetch_sub(wanted, Ordering::SeqCst);
        puts.truncate(left.clamp(0, wanted) as usize);
        self.inner.put(partition, epoch, puts).await?;
        if left < wanted {
            return Err(LogError::Unavailable("the process is dead".into()).into());
        }
        Ok(())
    }

    async fn read(&self, partition: u32, epoch: i64) -> Result<Reading, LogError> {
        self.inner.read(partition, epoch).await
    }
}

#[async_trait]
impl EventLog for Dying {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn identity(&self) -> &str {
        self.inner.identity()
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        self.inner.append(key, bytes).await
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        self.inner.subscribe(group).await
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        self.inner.span(partition).await
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        self.inner.offset_at(partition, at).await
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        self.inner.read(partition, from, max).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        self.inner.committed(group).await
    }

    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        let (inner, left) = (self.inner.compacted(name).await?, Arc::clone(&self.left));
        Ok(Arc::new(DyingTopic { inner, left }))
    }

    async fn healthy(&self) -> Result<(), LogError> {
        self.inner.healthy().await
    }

    async fn close(&self) {}
}

struct Place {
    log: Arc<dyn EventLog>,
    directory: watch::Sender<Arc<Directory>>,
    _server: Option<(EmbeddedPostgres, TempDir)>,
}

async fn on_postgres() -> Place {
    let data = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        durable: false,
        ..EmbeddedOptions::new(data.path())
    };
    let server = EmbeddedPostgres::start(&options).await.unwrap();
    migrate(&server.options()).await.unwrap();
    let database = Database::connect(&server.options()).await.unwrap();
    let options = LogOptions {
        partitions: PARTITIONS,
        ..LogOptions::default()
    };
    Place {
        log: Arc::new(PostgresLog::open(database, &options).await.unwrap()),
        directory: watch::channel(Arc::new(directory())).0,
        _server: Some((server, data)),
    }
}

async fn on_kafka() -> Place {
    let broker = std::env::var("TRUNKLINE_TEST_KAFKA")
        .expect("no Kafka: run deploy/kafka/run DIRECTORY PORT and set TRUNKLINE_TEST_KAFKA=127.0.0.1:PORT (deploy/test does)");
    let options = KafkaOptions {
        partitions: PARTITIONS,
        ..KafkaOptions::new(broker, format!("live_restart.{}", Uuid::new_v4()))
    };
    Place {
        log: Arc::new(KafkaLog::open(options).await.unwrap()),
        directory: watch::channel(Arc::new(directory())).0,
        _server: None,
    }
}

fn wall_clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Millis(since.as_millis() as i64)
}

impl Place {
    fn start(&self, group: &str, left: &Arc<AtomicI64>, checkpoint_ms: Option<i64>, clock: Option<Clock>) -> Engine {
        let log = Arc::new(Dying {
            inner: Arc::clone(&self.log),
            left: Arc::clone(left),
        });
        let options = EngineOptions {
            group: group.to_owned(),
            threads: 2,
            limits: Limits {
                checkpoint_ms,
                ..Limits::default()
            },
            clock,
            ..EngineOptions::default()
        };
        Engine::start(log, self.directory.subscribe(), options).unwrap()
    }

    async fn append(&self, bodies: &[serde_json::Value]) {
        for body in bodies {
            let (routed, body) = door::route(Bytes::from(body.to_string()));
            let key = routed.key.clone();
            let record = door::record(routed, body, wall_clock(), TENANT, WORKSPACE, Source::Webhook);
            self.log.append(&key, record.encode()).await.unwrap();
        }
    }

    async fn ends(&self) -> Vec<i64> {
        let mut ends = Vec::new();
        for partition in 0..PARTITIONS {
            ends.push(self.log.span(partition).await.unwrap().1);
        }
        ends
    }

    /// Waits until the whole log is on the boards.
    async fn settled(&self, live: &Live) {
        let ends = self.ends().await;
        until("the end of the log", live, |live| {
            let states = live.partitions();
            let is_there = |state: &trunkline_actors::PartitionState| state.next == ends[state.partition as usize] && state.current;
            states.len() == ends.len() && states.iter().all(is_there) && !live.completeness(TENANT).rebuilding
        })
        .await;
    }
}

async fn until(what: &str, live: &Live, holds: impl Fn(&Live) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds(live) {
        assert!(Instant::now() < deadline, "not reached: {what}; {:?}", live.partitions());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

type Seen = (Vec<Board>, BTreeMap<String, (CallFacts, Vec<Item>)>);

/// Everything to be seen, but for what moves with the time of looking.
fn seen(live: &Live) -> Seen {
    let boards = [None, Some(SALES), Some(HELP), Some(UNASSIGNED)].map(|business| {
        let scope = BoardScope {
            business,
            all_figures: true,
            ..BoardScope::whole(Sight::All)
        };
        (*live.board(TENANT, &scope)).clone()
    });
    let scope = CallScope {
        with_ended: true,
        ..CallScope::whole(Sight::All)
    };
    let calls = live.calls(TENANT, &scope).into_iter().map(|call| {
        let items = live
            .call(&call.facts.key, &Sight::All)
            .map(|(_, items)| items.to_vec())
            .unwrap_or_default();
        (call.facts.key.id.to_string(), ((*call.facts).clone(), items))
    });
    (boards.into(), calls.collect())
}

/// Dies after more and more changes of the checkpoints, and compares each life with one that reads the whole log.
async fn dies_everywhere(place: Place) {
    let bodies = storm();
    let mut rest = bodies.as_slice();
    let forever = Arc::new(AtomicI64::new(i64::MAX));
    for (life, dies_after) in [60, 129, 1, 300, 0, 450, 2].into_iter().enumerate() {
        let left = Arc::new(AtomicI64::new(dies_after));
        let engine = place.start("live", &left, Some(50), None);
        let live = engine.live();
        let (now, later) = rest.split_at(rest.len().min(150));
        rest = later;
        place.append(now).await;
        place.settled(&live).await;
        until("dead, or everything is in a checkpoint", &live, |live| {
            let kept = |state: &trunkline_actors::PartitionState| state.checkpoint.map_or(0, |at| at.next) == state.next;
            left.load(Ordering::SeqCst) <= 0 || live.partitions().iter().all(kept)
        })
        .await;
        left.store(0, Ordering::SeqCst);
        engine.stop().await;

        // The same moment for both.
        let at = Clock::set_by_hand(wall_clock());
        let restarted = place.start("live", &left, Some(3_600_000), Some(at.1.clone()));
        let plain = place.start(&format!("plain-{life}"), &forever, None, Some(at.1));
        place.settled(&restarted.live()).await;
        place.settled(&plain.live()).await;
        let (is, should) = (restarted.live(), plain.live());
        assert!(should.partitions().iter().all(|state| !state.rebuild.unwrap().from_checkpoint));
        until(&format!("life {life} is seen the same"), &is, |is| {
            at.0.advance(1_001);
            seen(is) == seen(&should)
        })
        .await;
        left.store(0, Ordering::SeqCst);
        restarted.stop().await;
        plain.stop().await;
    }
    let engine = place.start("live", &forever, Some(50), None);
    place.append(rest).await;
    place.settled(&engine.live()).await;
    engine.stop().await;
    let last = place.start("live", &forever, None, None);
    last.stop().await;
    let last = place.start("live", &forever, Some(50), None);
    place.settled(&last.live()).await;
    for state in last.live().partitions() {
        let rebuild = state.rebuild.unwrap();
        assert_eq!(
            (rebuild.from_checkpoint, rebuild.replayed),
            (true, 0),
            "a stop leaves nothing to read"
        );
    }
    last.stop().await;
    place.log.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_a_checkpoint_loses_nothing_over_postgres() {
    dies_everywhere(on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_a_checkpoint_loses_nothing_over_kafka() {
    dies_everywhere(on_kafka().await).await;
}
