//! The facts group at work: what folding the log gives is what ClickHouse has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_core::access::Sight;
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{CallFilter, EventPlace, Turning};

use crate::facts_house::*;

/// A call of an agent: one event.
fn started(id: &str, agent: &str, at: i64) -> String {
    format!(
        r#"{{"event":"call_started","call":{{"call_id":"{id}","call_type":"web_call","agent_id":"{agent}","call_status":"ongoing","start_timestamp":{at}}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_every_kind_become_the_rows_that_folding_them_gives() {
    let house = House::new("facts_whole").await;
    let facts = house.start();
    for (n, (at, body)) in conversations(1, 60).into_iter().enumerate() {
        house.post(body.clone(), at).await;
        if n % 10 == 0 {
            // A repeat: counted, and nothing else.
            house.post(body, at + 40).await;
        }
    }
    house.post(&b"\xff\xfe"[..], NOON).await;
    house.post(&b"[1]"[..], NOON).await;
    house.post(&br#"{"event":"alert_triggered","alert":{"name":"x"}}"#[..], NOON).await;
    house
        .post(&br#"{"event":"call_dreamt","call":{"call_id":"only_dreamt"}}"#[..], NOON)
        .await;
    let state = house.written(&facts).await;
    assert_eq!(state.set_aside, 2);
    house.agrees().await;
    assert_eq!(house.analytics.call(TENANT, Kind::Call, "only_dreamt").await.unwrap(), None);
    assert_eq!(
        house.analytics.set_aside(TENANT, &Turning::First, 10).await.unwrap().records.len(),
        2
    );
    facts.stop().await;
    house.close().await;
}

/// The directory of Retell's samples: `TRUNKLINE_SHARED`, else `../shared` beside the checkout.
fn samples() -> Vec<(String, Vec<u8>)> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let folder = std::env::var_os("TRUNKLINE_SHARED")
        .map_or_else(beside, PathBuf::from)
        .join("retell/payloads");
    assert!(
        folder.is_dir(),
        "no samples at {}: set TRUNKLINE_SHARED to the directory that holds retell/payloads",
        folder.display()
    );
    let mut samples: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    samples.sort();
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_of_retell_is_a_row_and_the_sums_are_those_of_the_core() {
    let house = House::new("facts_samples").await;
    let facts = house.start();
    let samples = samples();
    for (n, (_, body)) in samples.iter().enumerate() {
        house.post(body.clone(), NOON + n as i64).await;
    }
    let state = house.written(&facts).await;
    assert_eq!(state.events_written, samples.len() as u64);
    house.agrees().await;
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retell_does_not_document_is_counted_with_its_agents_and_a_sample() {
    let house = House::new("facts_strange").await;
    let facts = house.start();
    let strange = |id: &str, agent: &str, more: &str| {
        started(id, agent, NOON).replace(r#""call_status":"ongoing""#, &format!(r#""call_status":"ongoing",{more}"#))
    };
    house.post(strange("s1", "agent_a", r#""mood_ring":1"#), NOON).await;
    house
        .post(strange("s2", "agent_b", r#""mood_ring":2,"duration_ms":"long""#), NOON + 5)
        .await;
    // The same again, and the same name with other content.
    house
        .post(strange("s2", "agent_b", r#""mood_ring":2,"duration_ms":"long""#), NOON + 6)
        .await;
    house.post(started("s2", "agent_b", NOON), NOON + 7).await;
    house
        .post(
            &br#"{"event":"call_hummed","call":{"call_id":"s1","agent_id":"agent_a"}}"#[..],
            NOON + 9,
        )
        .await;
    house.written(&facts).await;
    let found = house.analytics.undocumented(TENANT, Millis(NOON)).await.unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|odd| {
            (
                &*odd.what,
                &*odd.spelled,
                odd.records,
                odd.calls,
                odd.last_at - NOON,
                odd.agents.join(" "),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("field", "call.mood_ring", 3, 2, 6, "agent_a agent_b".to_owned()),
            ("unreadable", "duration_ms", 2, 1, 6, "agent_b".to_owned()),
            ("event", "call_hummed", 1, 1, 9, "agent_a".to_owned()),
        ]
    );
    assert_eq!(found[0].first_at, NOON);
    let (log, partition, offset, kind, call) = found[2].sample.clone();
    let place = EventPlace {
        kind,
        call_id: call,
        log,
        log_partition: partition,
        log_offset: offset,
    };
    let body = house.analytics.event_body(TENANT, &place).await.unwrap().unwrap();
    assert!(std::str::from_utf8(&body).unwrap().contains("call_hummed"));
    assert!(house.analytics.undocumented(TENANT, Millis(NOON + 10)).await.unwrap().is_empty());
    // Rule B2: shown per agent.
    let receipts = house.analytics.receipts_by_agent(TENANT, Millis(NOON - 1)).await.unwrap();
    let told: Vec<_> = receipts
        .iter()
        .map(|of| (&*of.agent_id, of.conversations, of.received, of.repeated, of.revised))
        .collect();
    assert_eq!(told, [("agent_b", 1, 3, 1, 1), ("agent_a", 1, 2, 0, 0)]);
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_not_in_memory_are_folded_from_their_stored_records() {
    let mut house = House::new("facts_forgetful").await;
    house.options.cache_bytes = 0;
    house.options.batch_rows = 7;
    house.options.linger = Duration::from_millis(1);
    let facts = house.start();
    for (at, body) in conversations(2, 12) {
        house.post(body, at).await;
    }
    let state = house.written(&facts).await;
    assert_eq!(state.cached_calls, 0);
    house.agrees().await;
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_call_is_in_the_call_log_within_five_seconds() {
    let house = House::new("facts_prompt").await;
    let facts = house.start();
    until("assigned", &facts, |state| !state.partitions.is_empty()).await;
    let posted = Instant::now();
    house.post(started("prompt", "a", NOON), NOON).await;
    let ended = started("prompt", "a", NOON)
        .replace("call_started", "call_ended")
        .replace("ongoing", "ended");
    house.post(ended, NOON + 1_000).await;
    loop {
        let page = house
            .analytics
            .calls(TENANT, &CallFilter::whole(Sight::All), &Turning::First, 5)
            .await
            .unwrap();
        if page.calls.first().is_some_and(|call| call.state == "ended") {
            break;
        }
        assert!(posted.elapsed() < Duration::from_secs(5), "not in the call log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    facts.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mapping_an_agent_moves_its_calls_also_when_nobody_looked() {
    let house = House::new("facts_moves").await;
    let facts = house.start();
    for n in 0..5 {
        house
            .post(
                started(&format!("c{n}"), if n < 3 { "agent_a" } else { "agent_b" }, NOON + n),
                NOON + n,
            )
            .await;
    }
    house.written(&facts).await;
    house.agrees().await;
    house.directory.send_replace(Arc::new(directory(&[("agent_a", SALES)])));
    until("moved", &facts, |state| state.calls_moved == 3).await;
    house.agrees().await;
    facts.stop().await;
    // While the group is down, both mappings change.
    house.directory.send_replace(Arc::new(directory(&[("agent_b", SALES)])));
    let facts = house.start();
    until("moved back and forth", &facts, |state| state.calls_moved == 5).await;
    house.agrees().await;
    // A further event goes to the new place.
    house
        .post(started("c0", "agent_a", NOON).replace("call_started", "call_ended"), NOON + 9)
        .await;
    house.written(&facts).await;
    house.agrees().await;
    let sales = CallFilter {
        businesses: vec![SALES],
        ..CallFilter::whole(Sight::All)
    };
    assert_eq!(house.analytics.calls_total(TENANT, &sales).await.unwrap().calls, 2);
    facts.stop().await;
    house.close().await;
}
