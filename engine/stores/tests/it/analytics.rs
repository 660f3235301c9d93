//! The analytics store on the real engine: schema, repeats, stories, the auditor's questions.

use trunkline_core::access::Sight;
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{
    Analytics, AnalyticsError, AnalyticsOptions, CallFilter, CallRow, Known, Place, TranscriptRow, Turning, after, place,
};
use uuid::Uuid;

use crate::analytics_given::*;
use crate::engine::engine;

#[tokio::test]
async fn the_schema_is_made_once_and_a_second_run_changes_nothing() {
    let analytics = analytics("schema_twice").await;
    let again = analytics.migrate().await.unwrap();
    assert_eq!((again.applied.len(), again.before), (0, 6));
}

#[tokio::test]
async fn every_table_remembers_tokens_and_collapses_repeats() {
    analytics("schema_settings").await;
    let tables: Vec<(String, String)> = crate::engine::client()
        .query("SELECT name, engine_full FROM system.tables WHERE database = 'schema_settings' AND engine LIKE '%MergeTree' ORDER BY name")
        .fetch_all()
        .await
        .unwrap();
    let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["calls", "events", "schema_steps", "transcripts"]);
    for (name, engine) in tables {
        assert!(engine.starts_with("ReplacingMergeTree"), "{name}: {engine}");
        assert!(
            name == "schema_steps" || engine.contains("non_replicated_deduplication_window = 20000"),
            "{name}: {engine}"
        );
    }
}

#[tokio::test]
async fn a_repeated_insert_adds_nothing_and_makes_no_part() {
    let analytics = analytics("repeats").await;
    let december = NOON + 10 * 86_400_000;
    let rows = [
        event(1, 0, "a", NOON, b"{}"),
        event(1, 1, "", NOON + 1, b"\xff\xfe not utf8"),
        event(1, 2, "a", december, b"{\"a\":1}"),
    ];
    for _ in 0..3 {
        analytics.insert_events(&rows, "events:log-a:4:0-2").await.unwrap();
    }
    let parts: u64 = crate::engine::client()
        .query("SELECT count() FROM system.parts WHERE database = 'repeats' AND table = 'events' AND active")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(parts, 2, "one block for each month, whatever the number of attempts");
    // Other boundaries after a crash: the token is another one, the order key collapses the rows.
    analytics.insert_events(&rows[1..], "events:log-a:4:1-2").await.unwrap();
    let density = analytics.density("log-a").await.unwrap();
    assert_eq!(
        (
            density.len(),
            density[0].first,
            density[0].last,
            density[0].distinct,
            density[0].missing()
        ),
        (1, 0, 2, 3, 0)
    );
    let counts = analytics.counts(tenant(1), Millis(0), Millis(december + 1)).await.unwrap();
    let read: Vec<(&str, &str, u64)> = counts.iter().map(|c| (c.event.as_str(), c.set_aside.as_str(), c.records)).collect();
    assert_eq!(read, [("", "not_utf8", 1), ("call_started", "", 2)]);
}

#[tokio::test]
async fn records_come_back_byte_for_byte_and_only_to_their_tenant() {
    let analytics = analytics("stories").await;
    analytics
        .insert_events(
            &[event(1, 0, "a", NOON, b"{\"x\":\"\\u0000\"}"), event(1, 1, "", NOON, b"\xff\x00?")],
            "t",
        )
        .await
        .unwrap();
    let events = analytics.events(tenant(1), Kind::Call, "a").await.unwrap();
    assert_eq!(events.len(), 1);
    let body = analytics.event_body(tenant(1), &events[0].place(Kind::Call, "a")).await.unwrap();
    assert_eq!(body.as_deref(), Some(&b"{\"x\":\"\\u0000\"}"[..]));
    let aside = analytics.set_aside(tenant(1), &Turning::First, 10).await.unwrap().records;
    assert_eq!((aside.len(), aside[0].set_aside.as_str()), (1, "not_utf8"));
    assert_eq!(
        analytics.event_body(tenant(1), &aside[0].place()).await.unwrap().as_deref(),
        Some(&b"\xff\x00?"[..])
    );
    assert_eq!(analytics.event_body(tenant(2), &aside[0].place()).await.unwrap(), None);
    assert!(
        analytics
            .set_aside(tenant(2), &Turning::First, 10)
            .await
            .unwrap()
            .records
            .is_empty()
    );
    assert!(analytics.events(tenant(2), Kind::Call, "a").await.unwrap().is_empty());
    let key = CallKey {
        tenant: tenant(1),
        kind: Kind::Call,
        id: "a".into(),
    };
    let foreign = CallKey {
        tenant: tenant(2),
        ..key.clone()
    };
    let records = analytics.records_of(&[key.clone(), foreign]).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[&key][0].header.received_at, Millis(NOON));
}

#[tokio::test]
async fn records_that_could_not_be_read_are_paged_without_leaving_one_out_although_they_came_at_once() {
    let analytics = analytics("aside_pages").await;
    // One moment for all of them: only the place in the log tells them apart.
    let records: Vec<_> = (0..25).map(|offset| event(1, offset, "", NOON, b"\xff\x00?")).collect();
    analytics.insert_events(&records, "t").await.unwrap();
    let offsets = |page: &trunkline_stores::clickhouse::AsidePage| page.records.iter().map(|record| record.log_offset).collect::<Vec<_>>();
    let (mut turning, mut seen, mut pages) = (Turning::First, Vec::new(), Vec::new());
    loop {
        let page = analytics.set_aside(tenant(1), &turning, 10).await.unwrap();
        seen.extend(offsets(&page));
        pages.push(page.clone());
        match page.older {
            Some(place) => turning = Turning::Older(place),
            None => break,
        }
    }
    assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
    assert!(pages[0].newer.is_none() && pages.len() == 3);
    let back = Turning::Newer(pages[2].newer.clone().unwrap());
    assert_eq!(
        offsets(&analytics.set_aside(tenant(1), &back, 10).await.unwrap()),
        offsets(&pages[1])
    );
}

#[tokio::test]
async fn a_call_and_its_transcript_come_back_whole() {
    let analytics = analytics("whole").await;
    let facts = facts(1, "a", NOON);
    write(&analytics, &facts, business(9), 3 << 16, "a").await;
    let stored = analytics.call(tenant(1), Kind::Call, "a").await.unwrap().unwrap();
    assert_eq!((stored.business, stored.facts), (business(9), facts));
    assert_eq!(analytics.transcript(tenant(1), Kind::Call, "a").await.unwrap(), items());
    for (foreign, kind, id) in [(2, Kind::Call, "a"), (1, Kind::Chat, "a"), (1, Kind::Call, "b")] {
        assert_eq!(analytics.call(tenant(foreign), kind, id).await.unwrap(), None);
        assert!(analytics.transcript(tenant(foreign), kind, id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_views_show_one_row_per_turn_tool_call_sample_and_transfer() {
    let analytics = analytics("views").await;
    write(&analytics, &facts(1, "a", NOON), business(9), 3 << 16, "a").await;
    let client = crate::engine::client().with_database("views");
    let rows = async |sql: &str| client.query(sql).fetch_all::<(String, String)>().await.unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        rows("SELECT role, content FROM turns ORDER BY item").await[1],
        pair("user", "A TABLE for vier, 元気です")
    );
    assert_eq!(
        rows("SELECT tool, ifNull(toString(succeeded), '') FROM tool_calls").await,
        [pair("book", "true")]
    );
    assert_eq!(
        rows("SELECT destination, ifNull(toString(waited_ms), '') FROM transfers").await,
        [pair("+15551234567", "4000")]
    );
    let samples = rows("SELECT stage, toString(sample_ms) FROM latency_samples ORDER BY stage, sample_ms").await;
    assert_eq!(samples, [pair("e2e", "800"), pair("e2e", "1200.5"), pair("llm", "300")]);
    let filtered =
        rows("SELECT call_id, metadata['order'] FROM calls FINAL WHERE custom['party'] = '4' AND metadata['tier'] = '{\"a\":1}'").await;
    assert_eq!(filtered, [pair("a", "A-17")]);
}

#[tokio::test]
async fn a_moved_call_stands_in_one_place() {
    let analytics = analytics("moves").await;
    let mut facts = facts(1, "a", NOON);
    let mut known: Vec<Known> = Vec::new();
    // It moves to another business and back, and later its start turns out to be in the month before.
    let moves = [(9, NOON, 3), (8, NOON, 3), (9, NOON, 3), (9, NOON - 30 * 86_400_000, 4)];
    for (step, (home, opened_at, records)) in moves.into_iter().enumerate() {
        facts.started_at = Some(Millis(opened_at));
        facts.records = records;
        let here = Place {
            business: business(home),
            opened_at: Millis(opened_at),
        };
        assert_eq!(
            analytics
                .places_of(std::slice::from_ref(&facts.key))
                .await
                .unwrap()
                .remove(&facts.key)
                .unwrap_or_default()
                .len(),
            known.len()
        );
        let placed = place(&known, here, records).unwrap();
        let mut calls = vec![CallRow::live(&facts, here.business, placed.version, 4, measures())];
        calls.extend(
            placed
                .cancel
                .iter()
                .map(|old| CallRow::cancelled(&facts.key, old.business, old.opened_at, placed.version)),
        );
        analytics.insert_calls(&calls, &format!("step {step}")).await.unwrap();
        known = after(&known, here, &placed);
        let page = analytics
            .calls(tenant(1), &CallFilter::whole(Sight::All), &Turning::First, 10)
            .await
            .unwrap();
        let places: Vec<(Uuid, i64)> = page.calls.iter().map(|call| (call.business, call.opened_at)).collect();
        assert_eq!(places, [(business(home).0, opened_at)], "step {step}");
    }
    let mut stored = analytics
        .places_of(std::slice::from_ref(&facts.key))
        .await
        .unwrap()
        .remove(&facts.key)
        .unwrap();
    stored.sort_by_key(|at| at.place);
    known.sort_by_key(|at| at.place);
    assert_eq!(stored, known);
    let owners = analytics.owners(&[4]).await.unwrap();
    assert_eq!((owners.len(), owners[0].business, owners[0].calls), (1, business(9).0, 1));
    assert_eq!(analytics.calls_of_owner(&owners[0], &[4]).await.unwrap(), [(facts.key.clone(), 4)]);
    assert!(analytics.owners(&[5]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_goes_back_to_fewer_turns_without_left_overs() {
    let analytics = analytics("shrinks").await;
    let facts = facts(1, "a", NOON);
    analytics
        .insert_transcripts(&[TranscriptRow::live(&facts, &items(), business(9), 2 << 16)], "long")
        .await
        .unwrap();
    analytics
        .insert_transcripts(&[TranscriptRow::live(&facts, &items()[..1], business(9), 3 << 16)], "short")
        .await
        .unwrap();
    assert_eq!(analytics.transcript(tenant(1), Kind::Call, "a").await.unwrap(), items()[..1]);
    let turns: u64 = crate::engine::client()
        .query("SELECT count() FROM shrinks.turns")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(turns, 1);
}

#[tokio::test]
async fn an_engine_that_is_away_is_told_apart_from_one_that_refuses() {
    let away = Analytics::connect(AnalyticsOptions::new("http://127.0.0.1:9", "u", "p".to_owned().into(), "d")).unwrap();
    let error = away.insert_events(&[event(1, 0, "a", NOON, b"{}")], "t").await.unwrap_err();
    assert!(matches!(error, AnalyticsError::Unavailable { .. }), "{error:?}");
    let engine = engine();
    let missing = Analytics::connect(AnalyticsOptions::new(
        &engine.url,
        &engine.user,
        engine.password.clone(),
        "not_migrated",
    ))
    .unwrap();
    let error = missing.insert_events(&[event(1, 0, "a", NOON, b"{}")], "t").await.unwrap_err();
    assert!(matches!(error, AnalyticsError::Refused { .. }), "{error:?}");
    assert!(error.passes());
}

/// What was written last year must still be read: the file is never edited, a new form gets a new file beside it.
#[test]
fn the_stored_story_of_a_call_stays_readable() {
    let newest = include_str!("../golden/facts-2.json");
    for stored in [include_str!("../golden/facts-1.json"), newest] {
        let read: trunkline_core::facts::CallFacts = serde_json::from_str(stored).unwrap();
        assert_eq!(read, facts(1, "a", NOON));
    }
    let written = CallRow::live(&facts(1, "a", NOON), business(9), 1, 0, measures()).facts;
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(
        value(&written),
        value(newest),
        "the stored form has changed: keep reading these files and add a new one"
    );
}

#[tokio::test]
async fn a_story_that_cannot_be_read_is_told_from_the_records() {
    let analytics = analytics("unreadable_story").await;
    let body = br#"{"event":"call_started","call":{"call_id":"a","call_type":"web_call","agent_id":"agent_9","call_status":"ongoing"}}"#;
    analytics.insert_events(&[event(1, 0, "a", NOON, body)], "t").await.unwrap();
    let mut row = CallRow::live(&facts(1, "a", NOON), business(9), 1 << 16, 4, measures());
    row.facts = "{\"of\":\"another version\"}".to_owned();
    analytics.insert_calls(&[row.clone()], "t").await.unwrap();
    let story = analytics.call(tenant(1), Kind::Call, "a").await.unwrap().unwrap();
    assert_eq!((story.business, story.facts.agent_id.as_deref()), (business(9), Some("agent_9")));
    row.call_id = "without records".into();
    analytics.insert_calls(&[row], "t2").await.unwrap();
    let error = analytics.call(tenant(1), Kind::Call, "without records").await.unwrap_err();
    assert!(matches!(error, AnalyticsError::Unreadable { .. }), "{error:?}");
}
