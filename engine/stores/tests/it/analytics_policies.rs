//! The second lock on tenants, in the real engine: whatever a question forgets, it sees one tenant's rows.

use trunkline_stores::clickhouse::{Analytics, AnalyticsError, AnalyticsOptions};

use crate::analytics_given::*;
use crate::engine::{LOCKED, client, engine};

/// Calls of the first tenant; the second has twice as many. Several granules of 8,192 rows are far off, so the same question of two tenants
/// reads the same ones.
const CALLS: u128 = 20;

/// What `sql` counts when a question says that it is about `whose`.
async fn count(sql: &str, whose: Option<&str>) -> u64 {
    let query = client().with_database(LOCKED).query(sql);
    let query = match whose {
        Some(whose) => query.with_setting("log_comment", whose),
        None => query,
    };
    query.fetch_one().await.unwrap()
}

#[tokio::test]
async fn s035_a_question_that_forgets_its_tenant_sees_no_row_of_another() {
    let analytics = analytics(LOCKED).await;
    for number in 0..CALLS * 3 {
        let whose = if number % 3 == 0 { 1 } else { 2 };
        let facts = facts(whose, &format!("call-{number}"), NOON + number as i64);
        write(&analytics, &facts, business(9), 1 << 16, &format!("locked {number}")).await;
        let id = format!("call-{number}");
        let row = event(whose, number as i64, &id, NOON, b"{}");
        analytics.insert_events(&[row], &format!("locked events {number}")).await.unwrap();
    }
    let (first, second, stranger) = [tenant(1), tenant(2), tenant(3)].map(|tenant| tenant.0.to_string()).into();
    // Twice round, each after the other: what ClickHouse remembers of a condition for one tenant is not taken for another's.
    for _ in 0..2 {
        for table in [
            "calls",
            "calls FINAL",
            "events FINAL",
            "transcripts FINAL",
            "merge(currentDatabase(), '^calls$')",
        ] {
            let sql = format!("SELECT count() FROM {table}");
            assert_eq!(count(&sql, Some(&first)).await, CALLS as u64, "{table}");
            assert_eq!(count(&sql, Some(&second)).await, CALLS as u64 * 2, "{table}");
            assert_eq!(count(&sql, Some(&stranger)).await, 0, "{table}");
            assert_eq!(count(&sql, Some("platform")).await, CALLS as u64 * 3, "{table}");
            for silent in [None, Some(""), Some("nobody"), Some("' OR 1 = 1 --")] {
                assert_eq!(count(&sql, silent).await, 0, "{table} {silent:?}");
            }
        }
        for view in ["turns", "tool_calls", "latency_samples", "transfers"] {
            let sql = format!("SELECT uniqExact(tenant) FROM {view}");
            assert_eq!(count(&sql, Some(&first)).await, 1, "{view}");
            assert_eq!(count(&sql, None).await, 0, "{view}");
            assert_eq!(count(&sql, Some("platform")).await, 2, "{view}");
        }
        let sql = format!("SELECT count() FROM calls FINAL WHERE call_id = 'call-0' AND tenant = '{first}'");
        assert_eq!(count(&sql, Some(&first)).await, 1);
        assert_eq!(
            count(&sql, Some(&second)).await,
            0,
            "the condition says one tenant, the question is another's"
        );
    }
}

#[tokio::test]
async fn s035_every_table_with_a_tenant_has_its_policy() {
    analytics(LOCKED).await;
    let guarded: Vec<String> = client()
        .query("SELECT `table` FROM system.row_policies WHERE database = ? AND has(apply_to_list, currentUser()) ORDER BY 1")
        .bind(LOCKED)
        .fetch_all()
        .await
        .unwrap();
    let tables: Vec<String> = client()
        .query(
            "SELECT c.table FROM system.columns AS c JOIN system.tables AS t ON t.database = c.database AND t.name = c.table \
             WHERE c.database = ? AND c.name = 'tenant' AND t.engine != 'View' ORDER BY 1",
        )
        .bind(LOCKED)
        .fetch_all()
        .await
        .unwrap();
    assert!(tables.len() >= 3, "{tables:?}");
    assert_eq!(guarded, tables);
}

#[tokio::test]
async fn the_engine_reads_no_file_no_address_and_no_other_server() {
    for source in [
        "file('/etc/passwd', 'LineAsString')",
        "url('http://127.0.0.1:1/', 'LineAsString')",
        "remote('127.0.0.1', system.one)",
        "s3('http://127.0.0.1:1/bucket/a', 'CSV', 'x String')",
    ] {
        let refused = client().query(&format!("SELECT count() FROM {source}")).fetch_one::<u64>().await;
        assert!(refused.is_err_and(|error| error.to_string().contains("ACCESS_DENIED")), "{source}");
    }
    let refused = client().query("CREATE FUNCTION twice AS (x) -> x * 2").execute().await;
    assert!(refused.is_err_and(|error| error.to_string().contains("ACCESS_DENIED")));
}

/// The engine in this process keeps no policies that are made by a statement, and lets nobody make them: it reads the statement first.
#[tokio::test]
async fn a_user_who_may_not_make_policies_is_told_what_to_do() {
    let engine = engine();
    let analytics = Analytics::connect(AnalyticsOptions {
        row_policies: true,
        ..AnalyticsOptions::new(&engine.url, &engine.user, engine.password.clone(), "unlocked")
    });
    let refused = analytics.unwrap().migrate().await;
    let Err(AnalyticsError::Misconfigured(words)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        words.contains("GRANT CREATE ROW POLICY") && words.contains("clickhouse.row_policies = false"),
        "{words}"
    );
}
