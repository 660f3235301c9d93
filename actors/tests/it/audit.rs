//! The auditor finds what was planted, names where, and finds nothing when nothing is wrong.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tokio_postgres::NoTls;
use trunkline_actors::audit::{Audited, Report, audit};
use trunkline_actors::{Effects, EffectsOptions, Roles};
use trunkline_stores::postgres::{Database, effects};

use crate::facts_house::{House, TENANT, UNASSIGNED, conversations, engine, until};

async fn look(house: &House, ledger: &effects::Effects) -> Report {
    let audited = Audited {
        log: house.log.clone(),
        log_name: house.options.log_name.clone(),
        facts: Some(house.analytics.clone()),
        ledger: ledger.clone(),
        directory: house.directory.borrow().clone(),
    };
    audit(&audited).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_difference_is_found_with_its_range() {
    let house = House::new("audit").await;
    for (at, body) in conversations(5, 12) {
        house.post(body, at).await;
    }
    house.post("not JSON", crate::facts_house::NOON).await;
    let database = Database::connect(&house.postgres()).await.unwrap();
    let ledger = effects::Effects::new(database, &*house.options.log_name);
    let facts = house.start();
    let group = Effects::start(
        house.log.clone(),
        Arc::new(ledger.clone()),
        house.directory.subscribe(),
        &Roles::default(),
        EffectsOptions::default(),
    );
    house.written(&facts).await;
    until("rows in", &facts, |state| state.waits_for.is_none()).await;
    let records = house.records().await.len() as u64;
    for _ in 0..600 {
        if group.state().events >= records {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    facts.stop().await;
    group.stop().await;
    let clean = look(&house, &ledger).await;
    assert_eq!((clean.differences.as_slice(), clean.notes.as_slice()), (&[][..], &[][..]));
    assert_eq!((clean.records, clean.calls), (records, 12));

    // A day that was changed behind our back, and a record that is gone from the facts.
    let url = house.postgres().owner_url.unwrap();
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let changed = format!(
        "SELECT set_config('app.tenant', '{}', false); UPDATE usage_days SET talk_ms = talk_ms + 1000 WHERE partition = 1",
        TENANT.0
    );
    client.batch_execute(&changed).await.unwrap();
    let (_, end) = house.log.span(2).await.unwrap();
    let gone = end - 2;
    let engine = engine();
    let clickhouse = clickhouse::Client::default()
        .with_url(&engine.url)
        .with_user(&engine.user)
        .with_password(engine.password.expose_secret())
        .with_database("audit");
    let sql = format!("ALTER TABLE events DELETE WHERE log_partition = 2 AND log_offset = {gone} SETTINGS mutations_sync = 1");
    clickhouse.query(&sql).execute().await.unwrap();
    let report = look(&house, &ledger).await;
    let found: Vec<_> = report
        .differences
        .iter()
        .map(|found| (found.store, found.partition, found.what.as_str()))
        .collect();
    assert!(
        found.contains(&("ledger", 1, "talk_ms")) && found.contains(&("facts", 2, "records")),
        "{report:#?}"
    );
    assert!(
        found
            .iter()
            .all(|(store, partition, _)| (*store, *partition) == ("ledger", 1) || (*store, *partition) == ("facts", 2))
    );
    let of = |store: &str| report.differences.iter().find(|found| found.store == store).unwrap();
    assert_eq!(of("facts").range, format!("{gone}-{gone}"));
    assert!(of("ledger").range.starts_with(&UNASSIGNED.to_string()), "{report:#?}");
    house.close().await;
}
