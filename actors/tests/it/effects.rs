//! The usage ledger is exactly what the pure core makes of the log, whatever the order, the repetition and the deaths.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use tokio::sync::watch;
use trunkline_actors::effects::Ledger;
use trunkline_actors::{Effects, EffectsOptions, EffectsState, Roles};
use trunkline_core::door;
use trunkline_core::instant::Millis;
use trunkline_core::record::Source;
use trunkline_core::usage::Usage;
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::log::{EventLog, LogRecord};
use trunkline_stores::postgres::effects::{self, Advance, UsageCall, Written, differences};
use trunkline_stores::postgres::{Database, Directory, EmbeddedOptions, EmbeddedPostgres, migrate};

use crate::facts_house::{NOON, SALES, TENANT, UNASSIGNED, WORKSPACE, conversations, directory};

const PARTITIONS: u32 = 3;
/// Days of every record of these tests.
const DAYS: (&str, &str) = ("2000-01-01", "2100-01-01");

struct House {
    log: Arc<dyn EventLog>,
    store: effects::Effects,
    directory: watch::Sender<Arc<Directory>>,
    server: EmbeddedPostgres,
    _data: TempDir,
}

impl House {
    async fn new() -> House {
        House::on(None).await
    }

    /// With the log in Postgres, or in a topic of the tests' broker.
    async fn on(topic: Option<&str>) -> House {
        let data = tempfile::tempdir().unwrap();
        let server = EmbeddedPostgres::start(&EmbeddedOptions {
            durable: false,
            ..EmbeddedOptions::new(data.path())
        })
        .await
        .unwrap();
        migrate(&server.options()).await.unwrap();
        let database = Database::connect(&server.options()).await.unwrap();
        let log: Arc<dyn EventLog> = match topic {
            None => {
                let options = LogOptions {
                    partitions: PARTITIONS,
                    ..LogOptions::default()
                };
                Arc::new(PostgresLog::open(database.clone(), &options).await.unwrap())
            }
            Some(topic) => {
                let broker = std::env::var("TRUNKLINE_TEST_KAFKA").expect("TRUNKLINE_TEST_KAFKA names a broker; deploy/test starts one");
                let options = KafkaOptions {
                    partitions: PARTITIONS,
                    ..KafkaOptions::new(broker, format!("{topic}.{}", uuid::Uuid::new_v4()))
                };
                Arc::new(KafkaLog::open(options).await.unwrap())
            }
        };
        House {
            log,
            store: effects::Effects::new(database, "test"),
            directory: watch::channel(Arc::new(at_home(&[]))).0,
            server,
            _data: data,
        }
    }

    fn start(&self, batch_rows: usize) -> Effects {
        let options = EffectsOptions {
            batch_rows,
            linger: Duration::from_millis(20),
            ..EffectsOptions::default()
        };
        Effects::start(
            self.log.clone(),
            Arc::new(self.store.clone()),
            self.directory.subscribe(),
            &Roles::default(),
            options,
        )
    }

    async fn post(&self, body: impl Into<Bytes>, received_at: i64) {
        let (routed, body) = door::route(body.into());
        let key = routed.key.clone();
        let record = door::record(routed, body, Millis(received_at), TENANT, WORKSPACE, Source::Webhook);
        self.log.append(&key, record.encode()).await.unwrap();
    }

    async fn records(&self) -> Vec<LogRecord> {
        let mut records = Vec::new();
        for partition in 0..PARTITIONS {
            let (mut next, end) = self.log.span(partition).await.unwrap();
            while next < end {
                let read = self.log.read(partition, next, 1_000).await.unwrap();
                next = read.last().unwrap().position.offset + 1;
                records.extend(read);
            }
        }
        records
    }

    async fn accounted(&self, effects: &Effects) -> EffectsState {
        let mut ends = BTreeMap::new();
        for partition in 0..PARTITIONS {
            ends.insert(partition, self.log.span(partition).await.unwrap().1);
        }
        let done = |state: &EffectsState| {
            ends.iter()
                .all(|(partition, end)| state.partitions.get(partition).is_some_and(|at| at.next >= *end))
        };
        until("everything accounted for", effects, done).await
    }

    async fn days(&self) -> BTreeMap<(uuid::Uuid, String), Usage> {
        let days = self.store.usage(TENANT, None, DAYS.0, DAYS.1).await.unwrap();
        let used = days.into_iter().filter(|day| day.usage != Usage::default());
        used.map(|day| ((day.business.0, day.day), day.usage)).collect()
    }

    /// Calls and days are what folding the log gives.
    async fn agrees(&self) {
        let expected = ledger(&self.records().await, &self.directory.borrow());
        let keys: Vec<_> = expected.iter().map(|call| call.key.clone()).collect();
        let stored = self.store.calls(&keys).await.unwrap();
        for call in &expected {
            let found = stored
                .get(&call.key)
                .unwrap_or_else(|| panic!("{:?} is not in the ledger", call.key));
            let same = |of: &UsageCall| (of.standing.clone(), of.owner_agent.clone(), of.opened_at, of.workspace);
            assert_eq!(same(found), same(call), "{:?}", call.key);
        }
        let mut days: BTreeMap<(uuid::Uuid, String), Usage> = BTreeMap::new();
        for ((business, day, _), usage) in differences(expected.iter().map(|call| (None, &call.standing))) {
            *days.entry((business.0, day.to_string())).or_default() += usage;
        }
        assert_eq!(self.days().await, days);
        let calls: i64 = days.values().map(|usage| usage.calls + usage.chats).sum();
        assert!(calls > 0 && days.values().any(|usage| usage.cost_microcents > 0));
    }

    async fn close(self) {
        self.log.close().await;
        self.server.close().await;
    }
}

/// The ledger that follows from records alone.
fn ledger(records: &[LogRecord], directory: &Directory) -> Vec<UsageCall> {
    let mut ledger = Ledger::default();
    ledger.fold(records, directory).unwrap();
    ledger.calls().cloned().collect()
}

/// A directory whose businesses have a zone.
fn at_home(agents: &[(&str, trunkline_core::id::BusinessId)]) -> Directory {
    let mut directory = directory(agents);
    for business in [SALES, UNASSIGNED] {
        let entry = trunkline_stores::postgres::BusinessEntry {
            tenant: TENANT,
            name: "A".into(),
            zone: "Asia/Tokyo".into(),
            day_start_minute: 0,
            concurrency_limit: None,
            targets: serde_json::json!({}),
        };
        directory.businesses.insert(business, entry);
    }
    directory
}

async fn until(what: &str, effects: &Effects, holds: impl Fn(&EffectsState) -> bool) -> EffectsState {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let state = effects.state();
        if holds(&state) {
            return state;
        }
        assert!(Instant::now() < deadline, "not reached: {what}; {state:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_and_repeated_events_give_the_ledger_that_the_core_gives_also_through_deaths() {
    shuffled_and_repeated(House::new().await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_and_repeated_events_give_the_same_ledger_over_kafka() {
    shuffled_and_repeated(House::on(Some("effects")).await, false).await;
}

/// A member that dies without a word keeps its partitions at a broker for a while, so there it leaves in order.
async fn shuffled_and_repeated(house: House, dies: bool) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut bodies = conversations(7, 40);
    let again: Vec<_> = bodies.iter().step_by(5).map(|(at, body)| (at + 3_000, body.clone())).collect();
    bodies.extend(again);
    bodies.shuffle(&mut random);
    for (place, (at, body)) in bodies.iter().enumerate() {
        house.post(body.clone(), *at).await;
        if place % 90 == 45 {
            // Dies where it stands, with small transactions under way.
            let effects = house.start(16);
            until("some are accounted for", &effects, |state| state.events > 0).await;
            if dies {
                drop(effects);
            } else {
                effects.stop().await;
            }
        }
    }
    house.post("not JSON", NOON).await;
    let effects = house.start(64);
    let state = house.accounted(&effects).await;
    house.agrees().await;
    assert!(state.failures == 0 && state.behind_records == 0, "{state:?}");
    let days = house.days().await;
    // The whole log once more: the group forgets where it was, and nothing changes.
    effects.stop().await;
    let store = effects::Effects::new(
        Database::connect(&house.server.options()).await.unwrap(),
        "the same log by another name",
    );
    let again = Effects::start(
        house.log.clone(),
        Arc::new(store),
        house.directory.subscribe(),
        &Roles::default(),
        EffectsOptions::default(),
    );
    let state = house.accounted(&again).await;
    assert_eq!(
        (state.events, state.calls_written),
        (bodies.len() as u64 + 1, 0),
        "every record was read again and changed nothing"
    );
    assert_eq!(house.days().await, days);
    again.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_moves_to_the_business_its_agent_is_mapped_to_and_to_the_day_of_its_zone() {
    let house = House::new().await;
    for (at, body) in conversations(3, 12) {
        house.post(body, at).await;
    }
    let effects = house.start(64);
    house.accounted(&effects).await;
    house.agrees().await;
    assert!(house.days().await.keys().all(|(business, _)| *business == UNASSIGNED.0));
    let agents: Vec<String> = {
        let calls = ledger(&house.records().await, &house.directory.borrow());
        calls.into_iter().map(|call| call.owner_agent).collect()
    };
    let mapped: Vec<_> = agents.iter().map(|agent| (agent.as_str(), SALES)).collect();
    let mut directory = at_home(&mapped);
    // Noon in UTC is the day before on this side of the date line.
    directory.businesses.get_mut(&SALES).unwrap().zone = "Etc/GMT+12".into();
    house.directory.send_replace(Arc::new(directory));
    until("moved", &effects, |state| state.calls_moved >= 12).await;
    house.agrees().await;
    assert!(house.days().await.keys().all(|(business, _)| *business == SALES.0));
    effects.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_lost_its_partition_changes_nothing_when_it_wakes() {
    let house = House::new().await;
    let old = house.store.claim(0, 0, 10).await.unwrap();
    let new = house.store.claim(0, 0, 10).await.unwrap();
    assert!(new.epoch > old.epoch && new.next == old.next);
    house.post(conversations(1, 1)[0].1.clone(), NOON).await;
    let call = ledger(&house.records().await, &house.directory.borrow());
    let calls: Vec<_> = call.into_iter().map(|call| (None, call)).collect();
    let step = |epoch, from, to| Advance {
        partition: 0,
        epoch,
        from,
        to,
    };
    let write = async |advances: &[Advance]| house.store.write(advances, &calls, &[], Millis(NOON)).await.unwrap();
    assert_eq!(write(&[step(old.epoch, 0, 4)]).await, Written::Stale);
    assert_eq!(
        write(&[step(new.epoch, 1, 4)]).await,
        Written::Stale,
        "a batch that does not follow the last one"
    );
    assert!(house.days().await.is_empty(), "a refused batch leaves nothing behind");
    assert_eq!(write(&[step(new.epoch, 0, 4)]).await, Written::Done);
    assert_eq!(
        write(&[step(new.epoch, 0, 4)]).await,
        Written::Stale,
        "the same batch once more, as after an unknown outcome"
    );
    assert_eq!(house.days().await.values().map(|usage| usage.calls + usage.chats).sum::<i64>(), 1);
    let offsets = house.store.offsets().await.unwrap();
    assert_eq!((offsets[0].next, offsets[0].epoch), (4, new.epoch));
    // The log begins behind where the group was: it goes on there and says so.
    let gone = house.store.claim(0, 7, 10).await.unwrap();
    assert_eq!((gone.next, gone.lost), (7, Some(4)));
    house.close().await;
}
