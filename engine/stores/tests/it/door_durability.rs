//! What the embedded engine has acknowledged survives `kill -9`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clickhouse::Row;
use serde::Serialize;
use trunkline_stores::clickhouse::door::{DoorOptions, Engine};

use crate::engine::{client_of, library};

const DIRECTORY: &str = "TRUNKLINE_TEST_DOOR_DIRECTORY";
const BATCH: u64 = 500;

#[derive(Row, Serialize)]
struct Line {
    n: u64,
}

/// This binary again, as the process that will be killed; it runs [`inserts_until_it_is_killed`] alone.
fn child(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["door_durability::inserts_until_it_is_killed", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The child's part; without the parent's variable there is nothing to do.
#[tokio::test]
async fn inserts_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let engine = Engine::start(DoorOptions {
        library: library(),
        data: directory.into(),
        databases: Vec::new(),
        entry: None,
    })
    .unwrap();
    let client = client_of(&engine);
    client
        .query(
            "CREATE TABLE IF NOT EXISTS lines (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000",
        )
        .execute()
        .await
        .unwrap();
    let stored: u64 = client.query("SELECT count() FROM lines").fetch_one().await.unwrap();
    let distinct: u64 = client
        .query("SELECT uniqExact(n) FROM lines WHERE n < (SELECT count() FROM lines)")
        .fetch_one()
        .await
        .unwrap();
    println!("\nfound={stored} distinct={distinct}");
    for batch in stored / BATCH.. {
        let mut insert = client
            .insert::<Line>("lines")
            .await
            .unwrap()
            .with_setting("insert_deduplication_token", batch.to_string());
        for n in batch * BATCH..(batch + 1) * BATCH {
            insert.write(&Line { n }).await.unwrap();
        }
        insert.end().await.unwrap();
        println!("\nacked={}", (batch + 1) * BATCH);
    }
}

fn number(line: &str, name: &str) -> Option<u64> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

#[test]
fn kill_nine_loses_no_acknowledged_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..4 {
        let mut child = child(directory.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut found, mut batches) = (None, 0);
        for line in &mut lines {
            let line = line.unwrap();
            if let Some(stored) = number(&line, "found") {
                assert!(
                    stored >= acknowledged,
                    "round {round}: {stored} rows of {acknowledged} acknowledged ones"
                );
                assert_eq!(stored % BATCH, 0, "round {round}: half an insert is in the table");
                assert_eq!(number(&line, "distinct"), Some(stored), "round {round}: other rows than were sent");
                found = Some(stored);
            }
            if let Some(acked) = number(&line, "acked") {
                (acknowledged, batches) = (acked, batches + 1);
            }
            if batches == 20 {
                break;
            }
        }
        assert!(found.is_some(), "round {round}: the child ended before it had counted");
        assert_eq!(batches, 20, "round {round}: the child ended by itself");
        // Somewhere within a later insert.
        std::thread::sleep(Duration::from_millis(3 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            acknowledged = number(&line, "acked").unwrap_or(acknowledged);
        }
    }
    assert!(acknowledged >= 4 * 20 * BATCH);
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = child(directory.path());
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("acked=")));
    let mut second = child(directory.path());
    let status = second.wait().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!status.success());
}
