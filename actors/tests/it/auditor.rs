//! The auditor that runs beside the groups: what was changed behind the product's back is found, written down, repaired, and only once;
//! over both kinds of log.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio_postgres::NoTls;
use trunkline_actors::audit::{Audited, AuditorOptions, Found, Ground, Passed, audit, pass, watch_audited};
use trunkline_actors::{Effects, EffectsOptions, Roles};
use trunkline_core::metric::Rules;
use trunkline_stores::log::{Delivery, Mark};
use trunkline_stores::postgres::auditor::{AuditBook, FindingKind, FindingsFilter, NewFinding};
use trunkline_stores::postgres::{Database, EmbeddedOptions, EmbeddedPostgres, PostgresOptions, effects, migrate};

use crate::facts_house::{House, NOON, TENANT, conversations, engine};

/// A house with a ledger, and an auditor that looks at everything again with each pass.
struct Audit {
    name: &'static str,
    house: House,
    postgres: PostgresOptions,
    ground: Ground,
    group: Effects,
    _own: Option<(EmbeddedPostgres, TempDir)>,
}

impl Audit {
    /// With the log in Postgres, where everything else is as well.
    async fn new(name: &'static str) -> Audit {
        let house = House::new(name).await;
        let postgres = house.postgres();
        Audit::on(name, house, postgres, None).await
    }

    /// With the log on the tests' broker.
    async fn on_kafka(name: &'static str) -> Audit {
        let data = tempfile::tempdir().unwrap();
        let server = EmbeddedPostgres::start(&EmbeddedOptions {
            durable: false,
            ..EmbeddedOptions::new(data.path())
        })
        .await
        .unwrap();
        migrate(&server.options()).await.unwrap();
        let postgres = server.options();
        Audit::on(name, House::on_kafka(name).await, postgres, Some((server, data))).await
    }

    async fn on(name: &'static str, house: House, postgres: PostgresOptions, own: Option<(EmbeddedPostgres, TempDir)>) -> Audit {
        let database = Database::connect(&postgres).await.unwrap();
        let log_name = house.options.log_name.clone();
        let ground = Ground {
            log: house.log.clone(),
            facts: house.analytics.clone(),
            ledger: effects::Effects::new(database.clone(), &*log_name),
            book: AuditBook::new(database, &*log_name),
            log_name,
            directory: house.directory.subscribe(),
            rules: Rules::default(),
            options: AuditorOptions {
                every: Duration::from_secs(60),
                again_records: 1_000_000,
            },
        };
        let group = Effects::start(
            house.log.clone(),
            Arc::new(ground.ledger.clone()),
            house.directory.subscribe(),
            &Roles::default(),
            EffectsOptions::default(),
        );
        Audit {
            name,
            house,
            postgres,
            ground,
            group,
            _own: own,
        }
    }

    async fn accounted(&self) {
        let deadline = std::time::Instant::now() + Duration::from_secs(90);
        loop {
            let mut behind = 0;
            let offsets = self.ground.ledger.offsets().await.unwrap();
            for partition in 0..self.house.log.partitions() {
                let (_, end) = self.house.log.span(partition).await.unwrap();
                behind += end - offsets.iter().find(|at| at.partition == partition).map_or(0, |at| at.next);
            }
            if behind == 0 {
                return;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "the ledger is {behind} records behind: {:?}",
                self.group.state()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Conversations, written to facts and ledger.
    async fn fill(&self, seed: u64, number: usize) {
        for (at, body) in conversations(seed, number) {
            self.house.post(body, at).await;
        }
        self.house.post("not JSON", NOON).await;
        let facts = self.house.start();
        self.house.written(&facts).await;
        facts.stop().await;
        self.accounted().await;
    }

    async fn pass(&self) -> Passed {
        let turn = self.ground.book.turn().await.unwrap().expect("nobody else audits");
        assert!(self.ground.book.turn().await.unwrap().is_none(), "one at a time");
        let passed = pass(&self.ground).await.unwrap();
        drop(turn);
        passed
    }

    /// Nothing differs: neither for the auditor, nor for the oracle, nor for a fold of the whole log.
    async fn is_clean(&self) {
        let passed = self.pass().await;
        assert_eq!(passed.found, []);
        self.house.agrees().await;
        let audited = Audited {
            log: self.house.log.clone(),
            log_name: self.ground.log_name.clone(),
            facts: Some(self.house.analytics.clone()),
            ledger: self.ground.ledger.clone(),
            directory: self.house.directory.borrow().clone(),
        };
        let report = audit(&audited).await.unwrap();
        assert_eq!((report.differences.as_slice(), report.notes.as_slice()), (&[][..], &[][..]));
    }

    /// Changes ClickHouse without anybody's knowledge.
    async fn clickhouse(&self, sql: &str) {
        let engine = engine();
        let client = clickhouse::Client::default()
            .with_url(&engine.url)
            .with_user(&engine.user)
            .with_password(engine.password.expose_secret())
            .with_database(self.name);
        client.query(sql).execute().await.unwrap();
    }

    /// Changes Postgres without anybody's knowledge.
    async fn sql(&self, sql: &str) {
        let url = self.postgres.owner_url.clone().unwrap();
        let (client, connection) = tokio_postgres::connect(url.expose_secret(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let within = format!("SELECT set_config('app.tenant', '{}', false); {sql}", TENANT.0);
        client.batch_execute(&within).await.unwrap();
    }

    async fn close(self) {
        self.group.stop().await;
        self.house.close().await;
        if let Some((server, _data)) = self._own {
            server.close().await;
        }
    }
}

fn kinds(found: &[Found]) -> Vec<FindingKind> {
    let mut kinds: Vec<FindingKind> = found.iter().map(|found| found.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// Everything that can be changed, one after the other.
async fn planted_differences_are_repaired_once(audit: Audit) {
    audit.fill(5, 14).await;
    let first = audit.pass().await;
    let records = audit.house.records().await;
    assert_eq!((first.records, first.found.as_slice()), (records.len() as u64, &[][..]));
    audit.is_clean().await;

    // A range of records is lost from ClickHouse, with every call of the partition.
    let (_, end) = audit.house.log.span(2).await.unwrap();
    let (lost_first, lost_last) = (end - 7, end - 4);
    audit
        .clickhouse(&format!(
            "ALTER TABLE events DELETE WHERE log_partition = 2 AND log_offset BETWEEN {lost_first} AND {lost_last} SETTINGS mutations_sync = 1"
        ))
        .await;
    audit
        .clickhouse("ALTER TABLE calls DELETE WHERE log_partition = 2 SETTINGS mutations_sync = 1")
        .await;
    let found = audit.pass().await.found;
    assert_eq!(kinds(&found), [FindingKind::FactsMissing, FindingKind::FactsCall], "{found:#?}");
    assert!(found.iter().all(|found| found.partition == 2 && found.repaired), "{found:#?}");
    let missing = found.iter().find(|found| found.kind == FindingKind::FactsMissing).unwrap();
    assert_eq!((missing.first, missing.last), (lost_first, lost_last));
    audit.is_clean().await;

    // What was said in calls is lost, and a record has another content.
    audit
        .clickhouse("ALTER TABLE transcripts DELETE WHERE 1 SETTINGS mutations_sync = 1")
        .await;
    audit
        .clickhouse(
            "ALTER TABLE events UPDATE content = 'x', body = '{}' WHERE log_partition = 1 AND log_offset = 3 SETTINGS mutations_sync = 1",
        )
        .await;
    let found = audit.pass().await.found;
    assert_eq!(kinds(&found), [FindingKind::FactsDiffer, FindingKind::FactsCall], "{found:#?}");
    assert!(found.iter().all(|found| found.repaired), "{found:#?}");
    audit.is_clean().await;

    // The ledger: a call costs more, another is gone, a day has another sum. The group runs meanwhile, and goes on afterwards.
    let falsify = "UPDATE usage_calls SET talk_ms = talk_ms + 60000 WHERE call_id = (SELECT min(call_id) FROM usage_calls);
         DELETE FROM usage_calls WHERE call_id = (SELECT max(call_id) FROM usage_calls);
         UPDATE usage_days SET cost_microcents = cost_microcents + 1 WHERE partition = 1";
    audit.sql(falsify).await;
    let found = audit.pass().await.found;
    assert_eq!(kinds(&found), [FindingKind::LedgerCall, FindingKind::LedgerDay], "{found:#?}");
    assert!(found.iter().all(|found| found.repaired), "{found:#?}");
    let calls = found.iter().filter(|found| found.kind == FindingKind::LedgerCall).count();
    assert_eq!(calls, 2, "{found:#?}");
    audit.is_clean().await;

    // The group's place says that batches were written, and no intent says otherwise: they never were.
    for (at, body) in conversations(6, 6) {
        audit.house.post(body, at).await;
    }
    skip(&audit).await;
    audit.accounted().await;
    let found = audit.pass().await.found;
    let missing: i64 = found
        .iter()
        .filter(|found| found.kind == FindingKind::FactsMissing)
        .map(|found| found.last - found.first + 1)
        .sum();
    let skipped = audit.house.records().await.len() - records.len();
    assert_eq!(missing, skipped as i64, "{found:#?}");
    assert!(found.iter().all(|found| found.repaired), "{found:#?}");
    audit.is_clean().await;
    // The groups go on where they are.
    audit.fill(7, 5).await;
    audit.is_clean().await;

    let kept = audit.ground.book.findings(TENANT, &FindingsFilter::default(), 1_000).await.unwrap();
    assert!(
        kept.iter().all(|finding| finding.repaired_at.is_some() && !finding.done.is_empty()),
        "{kept:#?}"
    );
    let counts = audit.ground.book.counts(trunkline_core::instant::Millis(0)).await.unwrap();
    assert_eq!(counts.values().map(|(open, _)| open).sum::<u64>(), 0);
    assert_eq!(counts.values().map(|(_, repaired)| repaired).sum::<u64>(), kept.len() as u64);
    audit.close().await;
}

/// Moves the facts group to the end of every partition, as if it had written all of it.
async fn skip(audit: &Audit) {
    let log = &audit.house.log;
    let mut member = log.subscribe("facts").await.unwrap();
    let mut left = log.partitions();
    while left > 0 {
        let delivery = tokio::time::timeout(Duration::from_secs(60), member.next())
            .await
            .expect("an assignment")
            .unwrap();
        if let Delivery::Assigned { partition, .. } = delivery {
            let (_, next) = log.span(partition).await.unwrap();
            let mark = Mark {
                partition,
                next,
                intent: None,
            };
            member.mark(&[mark]).await.unwrap();
            left -= 1;
        }
    }
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_differences_are_repaired_once_with_the_log_in_postgres() {
    planted_differences_are_repaired_once(Audit::new("auditor").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_differences_are_repaired_once_with_the_log_on_kafka() {
    planted_differences_are_repaired_once(Audit::on_kafka("auditor_kafka").await).await;
}

/// What was noted before a crash is repaired by the next pass, and what the log itself has lost stays open and is no one's to repair.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_looked_at_again_and_a_hole_in_the_log_stays_open() {
    let mut audit = Audit::new("auditor_open").await;
    audit.fill(8, 6).await;
    audit.pass().await;
    // From here on nothing is looked at again by itself.
    audit.ground.options.again_records = 0;
    audit
        .clickhouse("ALTER TABLE calls DELETE WHERE log_partition = 0 SETTINGS mutations_sync = 1")
        .await;
    assert_eq!(audit.pass().await.found, [], "no offset is missing, and nothing is new");
    let crashed = NewFinding {
        partition: 0,
        kind: FindingKind::FactsCall,
        first: 0,
        last: 5,
        subject: "call of_a_process_that_died",
        owner: Some(TENANT),
        expected: "1 call",
        found: "0 calls",
    };
    audit
        .ground
        .book
        .note(&crashed, trunkline_core::instant::Millis(NOON))
        .await
        .unwrap();
    // Until it is repaired it counts as a gap on every board.
    let engine = trunkline_actors::Engine::start(
        audit.house.log.clone(),
        audit.house.directory.subscribe(),
        trunkline_actors::EngineOptions::default(),
    )
    .unwrap();
    let (live, stop) = (engine.live(), tokio_util::sync::CancellationToken::new());
    watch_audited(audit.ground.book.clone(), live.clone(), audit.house.log.partitions(), stop.clone());
    let said = async |wanted: (u64, usize)| {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let completeness = live.completeness(TENANT);
            let open = completeness.audited.map(|audited| audited.open);
            if (open, completeness.gaps.len()) == (Some(wanted.0), wanted.1) {
                return completeness.gaps;
            }
            assert!(std::time::Instant::now() < deadline, "{open:?} open, {:?}", completeness.gaps);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let gaps = said((1, 1)).await;
    assert_eq!((gaps[0].partition, gaps[0].first, gaps[0].last), (0, 0, 5));
    let found = audit.pass().await.found;
    assert_eq!(kinds(&found), [FindingKind::FactsCall]);
    assert!(found.iter().all(|found| found.repaired && found.first <= 5), "{found:#?}");
    said((0, 0)).await;
    stop.cancel();
    engine.stop().await;
    assert_eq!(audit.ground.book.open().await.unwrap(), []);

    // Others than the owner see that there is something, and not what.
    let other = trunkline_core::id::TenantId(uuid::Uuid::from_u128(99));
    let seen = audit.ground.book.findings(other, &FindingsFilter::default(), 10).await.unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|finding| finding.subject.is_empty() && finding.found.is_empty()));

    audit.ground.options.again_records = 1_000_000;
    audit
        .sql("DELETE FROM log_records WHERE partition = 1 AND record_offset BETWEEN 4 AND 5")
        .await;
    for _ in 0..2 {
        let found = audit.pass().await.found;
        assert!(
            !found.is_empty() && found.iter().all(|found| found.kind == FindingKind::LogGap && !found.repaired),
            "{found:#?}"
        );
        let open = audit.ground.book.open().await.unwrap();
        let ranges: Vec<_> = open
            .iter()
            .map(|finding| (finding.partition, finding.first, finding.last))
            .collect();
        assert_eq!(ranges, [(1, 4, 5)]);
    }
    audit.close().await;
}

/// The ledger may be ahead of the facts: a call whose end is still on its way there is late and not lost, and is compared when it has come.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_to_the_facts_is_no_difference() {
    let audit = Audit::new("auditor_late").await;
    let events = conversations(9, 12);
    let half = events.len() / 2;
    for (at, body) in &events[..half] {
        audit.house.post(body.clone(), *at).await;
    }
    let facts = audit.house.start();
    audit.house.written(&facts).await;
    facts.stop().await;
    audit.accounted().await;
    for (at, body) in &events[half..] {
        audit.house.post(body.clone(), *at).await;
    }
    audit.accounted().await;
    assert_eq!(audit.pass().await.found, [], "the facts lag");
    assert_eq!(audit.ground.book.open().await.unwrap(), []);

    let facts = audit.house.start();
    audit.house.written(&facts).await;
    facts.stop().await;
    audit.is_clean().await;

    // The second look goes round: after this it begins at the beginning.
    assert_eq!(audit.pass().await.found, []);

    // A call that has nothing on its way and has lost its row is one: lag excuses nobody else.
    audit
        .clickhouse("ALTER TABLE calls DELETE WHERE log_partition = 0 SETTINGS mutations_sync = 1")
        .await;
    for (at, body) in conversations(10, 3) {
        audit.house.post(body, at).await;
    }
    audit.accounted().await;
    let found = audit.pass().await.found;
    assert!(!found.is_empty(), "rows were taken away");
    assert!(
        found.iter().all(|found| found.kind == FindingKind::FactsCall && found.repaired),
        "{found:#?}"
    );
    audit.fill(11, 1).await;
    audit.is_clean().await;
    audit.close().await;
}
