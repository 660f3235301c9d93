//! What tests of the facts group stand on: a real log in Postgres, the real ClickHouse engine, and an oracle that folds the log.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use tokio::sync::watch;
use trunkline_actors::{Facts, FactsOptions, FactsState, Roles};
use trunkline_connectors::simulator::body::event;
use trunkline_connectors::simulator::{Mix, Plan, World};
use trunkline_core::access::Sight;
use trunkline_core::call::Call;
use trunkline_core::door;
use trunkline_core::event::{Reading, read};
use trunkline_core::id::{BusinessId, CallKey, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Base, Metric, Rules, contribution};
use trunkline_core::record::{Record, Source};
use trunkline_stores::clickhouse::door::{DoorOptions, Engine};
use trunkline_stores::clickhouse::{Analytics, AnalyticsOptions, CallFilter, FigureScope, Turning};
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::log::{EventLog, LogRecord};
use trunkline_stores::postgres::{Database, Directory, EmbeddedOptions, EmbeddedPostgres, PostgresOptions, migrate};
use uuid::Uuid;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(1));
pub const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));
pub const UNASSIGNED: BusinessId = BusinessId(Uuid::from_u128(10));
pub const SALES: BusinessId = BusinessId(Uuid::from_u128(11));
/// 2026-11-22T12:00:00Z.
pub const NOON: i64 = 1_795_348_800_000;
/// Partitions of the log.
const PARTITIONS: u32 = 3;

/// The one embedded ClickHouse engine of this test run; each test takes a database of its own.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<(TempDir, Engine)> = OnceLock::new();
    let start = || {
        let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.engine/libchdb.so"));
        let library = std::env::var_os("TRUNKLINE_CHDB_LIBRARY").map_or_else(default, PathBuf::from);
        assert!(
            library.is_file(),
            "no ClickHouse engine at {}: run deploy/clickhouse-engine",
            library.display()
        );
        let data = tempfile::tempdir().unwrap();
        // The engine's own runtime cannot be started inside another one.
        let options = DoorOptions {
            library,
            data: data.path().to_owned(),
            databases: Vec::new(),
            entry: None,
        };
        (data, std::thread::spawn(|| Engine::start(options).unwrap()).join().unwrap())
    };
    &ENGINE.get_or_init(start).1
}

/// Everything round one facts group.
pub struct House {
    pub log: Arc<dyn EventLog>,
    pub analytics: Analytics,
    pub directory: watch::Sender<Arc<Directory>>,
    pub options: FactsOptions,
    server: Option<EmbeddedPostgres>,
    _data: TempDir,
}

impl House {
    /// A fresh log and a fresh database called `name`.
    pub async fn new(name: &str) -> House {
        let data = tempfile::tempdir().unwrap();
        let server = EmbeddedPostgres::start(&EmbeddedOptions {
            durable: false,
            ..EmbeddedOptions::new(data.path())
        })
        .await
        .unwrap();
        migrate(&server.options()).await.unwrap();
        let database = Database::connect(&server.options()).await.unwrap();
        let options = LogOptions {
            partitions: PARTITIONS,
            ..LogOptions::default()
        };
        let log = Arc::new(PostgresLog::open(database, &options).await.unwrap());
        House::on(name, log, Some(server), data).await
    }

    /// The same with the log on the tests' broker, in a topic of its own.
    pub async fn on_kafka(name: &str) -> House {
        let broker = std::env::var("TRUNKLINE_TEST_KAFKA")
            .expect("no Kafka: run deploy/kafka/run DIRECTORY PORT and set TRUNKLINE_TEST_KAFKA=127.0.0.1:PORT (deploy/test does)");
        let options = KafkaOptions {
            partitions: PARTITIONS,
            ..KafkaOptions::new(broker, format!("{name}.{}", Uuid::new_v4()))
        };
        let log = Arc::new(KafkaLog::open(options).await.unwrap());
        House::on(name, log, None, tempfile::tempdir().unwrap()).await
    }

    async fn on(name: &str, log: Arc<dyn EventLog>, server: Option<EmbeddedPostgres>, data: TempDir) -> House {
        let analytics = analytics_at(&engine().url, name);
        analytics.migrate().await.unwrap();
        let directory = watch::channel(Arc::new(directory(&[]))).0;
        House {
            log,
            analytics,
            directory,
            options: FactsOptions::new(format!("test-{name}")),
            server,
            _data: data,
        }
    }

    pub fn start(&self) -> Facts {
        self.start_at(&self.analytics)
    }

    /// The group with another way to ClickHouse.
    pub fn start_at(&self, analytics: &Analytics) -> Facts {
        self.start_on(self.log.clone(), analytics)
    }

    /// The group with another way to the log as well.
    pub fn start_on(&self, log: Arc<dyn EventLog>, analytics: &Analytics) -> Facts {
        Facts::start(
            log,
            Arc::new(analytics.clone()),
            self.directory.subscribe(),
            &Roles::default(),
            self.options.clone(),
        )
    }

    /// Appends what the door would append.
    pub async fn post(&self, body: impl Into<Bytes>, received_at: i64) {
        let (key, stored) = stored(body, received_at);
        self.log.append(&key, stored).await.unwrap();
    }

    pub async fn records(&self) -> Vec<LogRecord> {
        let mut records = Vec::new();
        for partition in 0..PARTITIONS {
            let (first, end) = self.log.span(partition).await.unwrap();
            let mut from = first;
            while from < end {
                let read = self.log.read(partition, from, 500).await.unwrap();
                from = read.last().unwrap().position.offset + 1;
                records.extend(read);
            }
        }
        records
    }

    /// Waits until every record is committed by the group.
    pub async fn written(&self, facts: &Facts) -> FactsState {
        let mut ends = BTreeMap::new();
        for record in self.records().await {
            ends.insert(record.position.partition, record.position.offset + 1);
        }
        let done = |state: &FactsState| {
            ends.iter()
                .all(|(partition, end)| state.partitions.get(partition).is_some_and(|at| at.next >= *end))
        };
        until("everything written", facts, done).await
    }

    /// ClickHouse has exactly what folding the log gives: every record, every call, every transcript, every sum.
    pub async fn agrees(&self) {
        let stored = self.records().await;
        let density = self.analytics.density(&self.options.log_name).await.unwrap();
        assert_eq!(
            density.iter().map(|at| at.distinct).sum::<u64>(),
            stored.len() as u64,
            "a record is missing or doubled"
        );
        assert!(density.iter().all(|at| at.missing() == 0));
        let counts = self.analytics.counts(TENANT, Millis(0), Millis(NOON * 2)).await.unwrap();
        assert_eq!(counts.iter().map(|count| count.records).sum::<u64>(), stored.len() as u64);
        let calls = oracle(&stored);
        let directory = self.directory.borrow().clone();
        let (mut num, mut den) = (vec![0i128; Metric::COUNT], vec![0i128; Metric::COUNT]);
        for (key, call) in calls.values() {
            let facts = call.facts();
            let row = self
                .analytics
                .call(TENANT, key.kind, &key.id)
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("{key:?} has no row"));
            assert_eq!(row.facts, facts);
            assert_eq!(
                Some(row.business),
                directory.business_of(TENANT, WORKSPACE, facts.owner_agent.as_deref())
            );
            assert_eq!(
                self.analytics.transcript(TENANT, key.kind, &key.id).await.unwrap(),
                *call.transcript()
            );
            let (nums, dens) = contribution(&facts, &Rules::default()).measures();
            for metric in Metric::ALL {
                let counts = match metric.definition().base {
                    Base::Arrival => true,
                    Base::Completion => facts.closed_at().is_some(),
                    Base::Instant | Base::InState => false,
                };
                if counts {
                    num[metric.index()] += nums[metric.index()] as i128;
                    den[metric.index()] += dens[metric.index()] as i128;
                }
            }
        }
        let total = self.analytics.calls_total(TENANT, &CallFilter::whole(Sight::All)).await.unwrap();
        assert_eq!(total.calls, calls.len() as u64, "a call is missing or doubled");
        let listed = self
            .analytics
            .calls(TENANT, &CallFilter::whole(Sight::All), &Turning::First, 500)
            .await
            .unwrap();
        assert_eq!(listed.calls.len(), calls.len().min(500));
        let all = (Millis(0), Millis(NOON * 2));
        let measured = self.analytics.measures(TENANT, &FigureScope::default(), all, 0).await.unwrap();
        for metric in Metric::ALL {
            let sums = measured.first().map_or((0, 0), |measured| measured.sums(*metric));
            assert_eq!(sums, (num[metric.index()], den[metric.index()]), "{metric:?}");
        }
    }

    /// How to reach the server that has the log.
    pub fn postgres(&self) -> PostgresOptions {
        self.server.as_ref().expect("the log is in Postgres").options()
    }

    pub async fn close(self) {
        self.log.close().await;
        if let Some(server) = self.server {
            server.close().await;
        }
    }
}

/// What the door would append: the key and the record.
pub fn stored(body: impl Into<Bytes>, received_at: i64) -> (String, Bytes) {
    let (routed, body) = door::route(body.into());
    let key = routed.key.clone();
    let record = door::record(routed, body, Millis(received_at), TENANT, WORKSPACE, Source::Webhook);
    (key, record.encode())
}

pub fn analytics_at(url: &str, name: &str) -> Analytics {
    let engine = engine();
    Analytics::connect(AnalyticsOptions::new(url, &engine.user, engine.password.clone(), name)).unwrap()
}

/// A directory in which these agents belong to a business.
pub fn directory(agents: &[(&str, BusinessId)]) -> Directory {
    Directory {
        agents: agents
            .iter()
            .map(|(agent, business)| ((TENANT, (*agent).to_owned()), *business))
            .collect(),
        unassigned: HashMap::from([(WORKSPACE, UNASSIGNED)]),
        version: agents.len() as u64,
        ..Directory::default()
    }
}

/// The calls as the core folds them from the log.
fn oracle(stored: &[LogRecord]) -> BTreeMap<(String, String), (CallKey, Call)> {
    let mut calls: BTreeMap<(String, String), (CallKey, Call)> = BTreeMap::new();
    for record in stored {
        let Ok(record) = Record::decode(&record.bytes) else { continue };
        let Reading::Event(event) = read(&record) else { continue };
        let key = event.key().clone();
        let place = (key.kind.as_str().to_owned(), key.id.to_string());
        let (_, call) = calls.entry(place).or_insert_with(|| (key.clone(), Call::new(key, WORKSPACE)));
        call.apply(&event);
    }
    calls.retain(|_, (_, call)| call.exists());
    calls
}

/// Bodies of simulated conversations with the moments they arrive at, in order of arrival.
pub fn conversations(seed: u64, number: usize) -> Vec<(i64, Vec<u8>)> {
    let (world, mut random) = (World::new(), ChaCha8Rng::seed_from_u64(seed));
    let mut bodies = Vec::new();
    for n in 0..number {
        let plan = Plan::draw(&world, &Mix::default(), NOON + 700 * n as i64, &mut random);
        for (after, step) in &plan.steps {
            bodies.push((plan.start_ms + after, event(&world, &plan, *step).1));
        }
    }
    bodies.sort_by_key(|(at, _)| *at);
    bodies
}

/// Waits until the state of the group is so.
pub async fn until(what: &str, facts: &Facts, holds: impl Fn(&FactsState) -> bool) -> FactsState {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let state = facts.state();
        if holds(&state) {
            return state;
        }
        assert!(Instant::now() < deadline, "not reached: {what}; {state:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
