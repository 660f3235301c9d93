//! The embedded engine through the real client, unchanged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use clickhouse::error::Error;
use clickhouse::{Compression, Row};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use trunkline_stores::clickhouse::door::{DoorError, DoorOptions, Engine};
use uuid::Uuid;

use crate::engine::{client, database, engine, library};

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Sample {
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    at: i64,
    word: String,
    note: Option<String>,
    numbers: Vec<f64>,
    extra: HashMap<String, String>,
}

fn sample(number: u64) -> Sample {
    Sample {
        id: Uuid::from_u128(u128::from(number)),
        at: 1_795_000_000_000 + number as i64,
        word: ["inbound", "outbound", "雪 'quoted' \\ \t\n"][number as usize % 3].into(),
        note: number.is_multiple_of(2).then(|| format!("note {number}")),
        numbers: vec![number as f64, 0.5],
        extra: HashMap::from([("k".to_owned(), number.to_string())]),
    }
}

const SAMPLES: &str = "CREATE TABLE samples (
    id UUID, at DateTime64(3, 'UTC'), word LowCardinality(String), note Nullable(String),
    numbers Array(Float64), extra Map(String, String)
) ENGINE = ReplacingMergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10000";

async fn count(client: &clickhouse::Client, table: &str) -> u64 {
    client.query(&format!("SELECT count() FROM {table}")).fetch_one().await.unwrap()
}

#[tokio::test]
async fn every_type_we_store_comes_back_as_it_went() {
    let client = database("door_types").await;
    client.query(SAMPLES).execute().await.unwrap();
    let rows: Vec<Sample> = (0..7).map(sample).collect();
    let mut insert = client.insert::<Sample>("samples").await.unwrap();
    for row in &rows {
        insert.write(row).await.unwrap();
    }
    insert.end().await.unwrap();
    let got: Vec<Sample> = client.query("SELECT ?fields FROM samples ORDER BY id").fetch_all().await.unwrap();
    assert_eq!(got, rows);
}

#[tokio::test]
async fn s070_values_are_bound_and_never_read_as_sql() {
    let client = database("door_parameters").await;
    client.query(SAMPLES).execute().await.unwrap();
    let mut insert = client.insert::<Sample>("samples").await.unwrap();
    for number in 0..3 {
        insert.write(&sample(number)).await.unwrap();
    }
    insert.end().await.unwrap();
    let word = sample(2).word;
    let by_name: u64 = client
        .query("SELECT count() FROM samples WHERE word = {word:String} AND at >= fromUnixTimestamp64Milli({at:Int64})")
        .param("word", &word)
        .param("at", 1_795_000_000_000_i64)
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(by_name, 1);
    let hostile = "' OR 1=1 --";
    let none: u64 = client
        .query("SELECT count() FROM samples WHERE word = {word:String}")
        .param("word", hostile)
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(none, 0);
    let by_place: u64 = client
        .query("SELECT count() FROM samples WHERE word = ? AND 1 IN ?")
        .bind(&word)
        .bind([1_u8, 2])
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(by_place, 1);
    let list: Vec<u64> = client
        .query("SELECT arrayJoin({ids:Array(UInt64)}) AS id ORDER BY id")
        .param("ids", vec![3_u64, 1, 2])
        .fetch_all()
        .await
        .unwrap();
    assert_eq!(list, [1, 2, 3]);
}

#[tokio::test]
async fn the_same_token_is_stored_once_and_another_one_is_not() {
    let client = database("door_tokens").await;
    client.query(SAMPLES).execute().await.unwrap();
    client
        .query("CREATE TABLE plain (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 10000")
        .execute()
        .await
        .unwrap();
    for (token, rows) in [("calls:0:1-5", 5), ("calls:0:1-5", 5), ("calls:0:6-9", 4), ("calls:0:1-5", 3)] {
        let mut insert = client
            .insert::<Plain>("plain")
            .await
            .unwrap()
            .with_setting("insert_deduplication_token", token);
        for n in 0..rows {
            insert.write(&Plain { n }).await.unwrap();
        }
        insert.end().await.unwrap();
    }
    assert_eq!(count(&client, "plain").await, 9);
}

#[derive(Row, Serialize, Deserialize)]
struct Plain {
    n: u64,
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_one_block_and_one_part() {
    let client = database("door_bulk").await;
    client.query(SAMPLES).execute().await.unwrap();
    for compression in [Compression::None, Compression::Lz4] {
        let client = client.clone().with_compression(compression);
        client.query("TRUNCATE TABLE samples").execute().await.unwrap();
        for _ in 0..2 {
            let mut insert = client
                .insert::<Sample>("samples")
                .await
                .unwrap()
                .with_setting("insert_deduplication_token", format!("bulk {compression:?}"))
                .with_setting("max_insert_block_size", "1000000")
                .with_setting("min_insert_block_size_rows", "1000000")
                .with_setting("min_insert_block_size_bytes", "0");
            for number in 0..100_000 {
                insert.write(&sample(number)).await.unwrap();
            }
            insert.end().await.unwrap();
        }
        assert_eq!(count(&client, "samples").await, 100_000);
        let parts: u64 = client
            .query("SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'samples' AND active")
            .fetch_one()
            .await
            .unwrap();
        assert_eq!(parts, 1, "{compression:?}");
        let sum: u64 = client
            .query("SELECT sum(toUInt64(extra['k'])) FROM samples")
            .fetch_one()
            .await
            .unwrap();
        assert_eq!(sum, 99_999 * 100_000 / 2);
    }
    let rows: Vec<Sample> = client.query("SELECT ?fields FROM samples ORDER BY id").fetch_all().await.unwrap();
    assert_eq!(rows.len(), 100_000);
    assert_eq!(rows[99_999], sample(99_999));
}

#[tokio::test]
async fn errors_carry_clickhouses_number_and_words() {
    let client = client();
    for (sql, code, name) in [
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT * FROM no_such_table", 60, "UNKNOWN_TABLE"),
        ("SELECT no_such_column", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ] {
        let Err(Error::BadResponse(text)) = client.query(sql).execute().await else {
            panic!("{sql} was taken")
        };
        assert!(text.starts_with(&format!("Code: {code}.")) && text.contains(name), "{sql}: {text}");
    }
    let wrong = client
        .clone()
        .with_database("no_such_database")
        .query("SELECT 1")
        .execute()
        .await
        .unwrap_err();
    assert!(wrong.to_string().contains("UNKNOWN_DATABASE"), "{wrong}");
    let setting = client
        .query("SELECT 1")
        .with_setting("no_such_setting", "1")
        .execute()
        .await
        .unwrap_err();
    assert!(setting.to_string().contains("UNKNOWN_SETTING"), "{setting}");
}

#[tokio::test]
async fn a_row_that_does_not_fit_the_table_is_refused_and_nothing_is_stored() {
    let client = database("door_mismatch").await;
    client
        .query("CREATE TABLE plain (n String) ENGINE = MergeTree ORDER BY n")
        .execute()
        .await
        .unwrap();
    // The client would notice by itself; with its check switched off, the engine has to.
    let unchecked = client.clone().with_validation(false);
    let mut insert = unchecked.insert::<Plain>("plain").await.unwrap();
    insert.write(&Plain { n: u64::MAX }).await.unwrap();
    let error = insert.end().await.unwrap_err();
    assert!(error.to_string().contains("Code: "), "{error}");
    assert_eq!(count(&client, "plain").await, 0);
}

#[tokio::test]
async fn half_an_insert_leaves_nothing() {
    let client = database("door_half").await;
    client
        .query("CREATE TABLE plain (n UInt64) ENGINE = MergeTree ORDER BY n")
        .execute()
        .await
        .unwrap();
    let mut insert = client.insert::<Plain>("plain").await.unwrap();
    for n in 0..200_000 {
        insert.write(&Plain { n }).await.unwrap();
    }
    drop(insert);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count(&client, "plain").await, 0);
}

#[tokio::test]
async fn many_open_inserts_and_slow_reports_do_not_block_each_other() {
    let client = database("door_lanes").await;
    client
        .query("CREATE TABLE plain (n UInt64) ENGINE = MergeTree ORDER BY n")
        .execute()
        .await
        .unwrap();
    // The client asks for a table's columns once; that question waits in the line of the reports.
    client.insert::<Plain>("plain").await.unwrap().end().await.unwrap();
    let slow: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(
                client
                    .query("SELECT sum(sleepEachRow(0.25)) FROM numbers(4) SETTINGS max_block_size = 1")
                    .execute(),
            )
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut open = Vec::new();
    for n in 0..16 {
        let mut insert = client.insert::<Plain>("plain").await.unwrap();
        insert.write(&Plain { n }).await.unwrap();
        open.push(insert);
    }
    for insert in open {
        insert.end().await.unwrap();
    }
    assert!(
        slow.iter().any(|report| !report.is_finished()),
        "the inserts waited for the reports"
    );
    for report in slow {
        report.await.unwrap().unwrap();
    }
    assert_eq!(count(&client, "plain").await, 16);
}

#[tokio::test]
async fn a_statement_stops_when_its_client_gives_up() {
    let client = client();
    let slow = client
        .query("SELECT sum(sleepEachRow(1)) FROM numbers(50) SETTINGS max_block_size = 1")
        .execute();
    assert!(tokio::time::timeout(Duration::from_millis(500), slow).await.is_err());
    let running = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(1)%' AND query NOT LIKE '%system.processes%'";
    let began = Instant::now();
    while client.query(running).fetch_one::<u64>().await.unwrap() > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "still running");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn s048_settings_of_one_statement_do_not_reach_the_next() {
    let client = client();
    let read = "SELECT toUInt64(getSetting('max_block_size'))";
    let before: u64 = client.query(read).fetch_one().await.unwrap();
    let set: u64 = client.query(read).with_setting("max_block_size", "77").fetch_one().await.unwrap();
    let after: u64 = client.query(read).fetch_one().await.unwrap();
    assert_eq!((set, after), (77, before));
}

#[tokio::test]
async fn readonly_means_it() {
    let client = database("door_readonly").await.with_setting("readonly", "1");
    assert_eq!(client.query("SELECT 1").fetch_one::<u8>().await.unwrap(), 1);
    for sql in [
        "CREATE TABLE t (n UInt8) ENGINE = Memory",
        "DROP DATABASE door_readonly",
        "SET max_threads = 1",
    ] {
        let error = client.query(sql).execute().await.unwrap_err();
        assert!(error.to_string().starts_with("bad response: Code: 164."), "{sql}: {error}");
    }
    let two = client.query("SELECT 1; SELECT 2").execute().await.unwrap_err();
    assert!(two.to_string().contains("Code: 62."), "{two}");
}

#[tokio::test]
async fn s040_nobody_enters_without_the_password() {
    let address = engine().url.strip_prefix("http://").unwrap();
    assert!(address.starts_with("127.0.0.1:"));
    for client in [
        client().with_password("wrong"),
        client().with_user("default"),
        clickhouse::Client::default().with_url(&engine().url),
    ] {
        let error = client.query("SELECT 1").execute().await.unwrap_err();
        assert!(error.to_string().contains("Code: 516."), "{error}");
    }
    assert!(engine().password.expose_secret().len() >= 32);
    assert!(!format!("{:?}", engine()).contains(engine().password.expose_secret()));
}

#[tokio::test]
async fn formats_are_streamed_as_bytes_for_exports() {
    let client = client();
    let mut cursor = client
        .query("SELECT number AS n, toString(number) AS s FROM numbers(3)")
        .fetch_bytes("CSVWithNames")
        .unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = cursor.next().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    assert_eq!(String::from_utf8(text).unwrap(), "\"n\",\"s\"\n0,\"0\"\n1,\"1\"\n2,\"2\"\n");
}

#[test]
fn a_second_engine_in_this_process_is_refused() {
    engine();
    let directory = tempfile::tempdir().unwrap();
    let second = Engine::start(DoorOptions {
        library: library(),
        data: directory.path().to_owned(),
        databases: Vec::new(),
        entry: None,
    });
    assert!(matches!(second, Err(DoorError::AlreadyRunning(_))));
}
