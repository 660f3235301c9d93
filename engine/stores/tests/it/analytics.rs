//! The analytics store on the real engine: schema, repeats, lists, stories, the auditor's questions.

use std::sync::Arc;

use trunkline_core::facts::*;
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{
    Analytics, AnalyticsError, AnalyticsOptions, CallFilter, CallRow, EventRow, Known, Place, Raw, TranscriptRow, Turning, Words, after,
    place,
};
use uuid::Uuid;

use crate::engine::engine;

/// 2026-11-22T12:00:00Z.
const NOON: i64 = 1_795_348_800_000;

/// A migrated database of its own.
async fn analytics(name: &str) -> Analytics {
    let engine = engine();
    let analytics = Analytics::connect(AnalyticsOptions::new(&engine.url, &engine.user, engine.password.clone(), name));
    analytics.migrate().await.unwrap();
    analytics
}

fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n))
}

fn business(n: u128) -> BusinessId {
    BusinessId(Uuid::from_u128(n))
}

fn facts(tenant_number: u128, id: &str, opened_at: i64) -> CallFacts {
    CallFacts {
        key: CallKey {
            tenant: tenant(tenant_number),
            kind: Kind::Call,
            id: id.into(),
        },
        workspace: WorkspaceId(Uuid::from_u128(77)),
        owner_agent: Some("agent_1".into()),
        agent_id: Some("agent_1".into()),
        agent_version: Some(3),
        agent_name: Some("Front desk".into()),
        agent_tag: None,
        channel: Channel::Phone,
        direction: Direction::Inbound,
        from_number: Some("+49301234567".into()),
        to_number: Some("+14155550100".into()),
        state: CallState::Ended,
        end_inferred: false,
        presumed_ended: false,
        status_raw: Some("ended".into()),
        reason: Some("user_hangup".into()),
        reason_class: Some(ReasonClass::Normal),
        connected: true,
        first_received_at: Millis(opened_at + 5),
        last_received_at: Millis(opened_at + 61_000),
        started_at: Some(Millis(opened_at)),
        ended_at: Some(Millis(opened_at + 60_000)),
        transfer_ended_at: None,
        transfer_destination: None,
        duration_ms: Some(60_000),
        repaired: false,
        ended_event_at: Some(Millis(opened_at + 60_500)),
        analysis_event_at: None,
        analysed: true,
        analysis: Analysis {
            summary: Some("Booked a table".into()),
            successful: Some(true),
            sentiment: Some(Sentiment::Positive),
            sentiment_raw: Some("Positive".into()),
            in_voicemail: Some(false),
            custom: vec![("party".into(), "4".into()), ("name".into(), "\"Ada \\\"L\\\"\"".into())],
        },
        speech: Speech {
            turns: 2,
            agent_turns: 1,
            user_turns: 1,
            characters: 30,
            ..Speech::default()
        },
        tool_calls: 1,
        tool_failures: 0,
        transfers: vec![Transfer {
            destination: "+15551234567".into(),
            extension: None,
            started_at: Some(Millis(opened_at + 10_000)),
            bridged_at: Some(Millis(opened_at + 14_000)),
            cancelled_at: None,
            ended_at: None,
            bridged_inferred: false,
            waited_ms: Some(4_000),
        }],
        latency: vec![(Stage::E2e, Arc::from([800.0, 1200.5])), (Stage::Llm, Arc::from([300.0]))],
        cost: Some(Cost {
            combined_cents: Some(12.5),
            parts_cents: Some(12.5),
            parts: vec![("elevenlabs_tts".into(), 7.5), ("gpt".into(), 5.0)],
            ..Cost::default()
        }),
        language: Some("en".into()),
        recording_url: Some("https://example.test/r.wav".into()),
        metadata: vec![("order".into(), "\"A-17\"".into()), ("tier".into(), "{\"a\":1}".into())],
        variables: vec![],
        collected: vec![],
        last_said: Some((Role::User, "bye".into())),
        last_said_at: Some(Millis(opened_at + 59_000)),
        records: 3,
        repeats: 1,
        revisions: 0,
        unreadable: vec![("call.cost".into(), 2)],
        events: vec![EventNote {
            event: "call_started".into(),
            received_at: Millis(opened_at + 5),
            repeats: 1,
            revision: false,
            unknown: false,
        }],
    }
}

fn said(role: Role, text: &str) -> Item {
    Item {
        role,
        role_raw: None,
        content: text.into(),
        start_ms: Some(1_000),
        end_ms: Some(2_000),
        tool: None,
        tool_call_id: None,
        tool_type: None,
        successful: None,
        words: Arc::from([Word {
            text: "word".into(),
            start_ms: 1_000,
            end_ms: 2_000,
        }]),
    }
}

fn items() -> Vec<Item> {
    let tool = Item {
        tool: Some("book".into()),
        tool_call_id: Some("t1".into()),
        tool_type: Some("custom".into()),
        words: Arc::from([]),
        ..said(Role::ToolCall, "{\"guests\":4, \"secret\":\"refund\"}")
    };
    let result = Item {
        successful: Some(true),
        tool: None,
        tool_type: None,
        start_ms: None,
        ..tool.clone()
    };
    vec![
        said(Role::Agent, "Hello, how may I help?"),
        said(Role::User, "A TABLE for vier, 元気です"),
        tool,
        Item {
            role: Role::ToolResult,
            ..result
        },
    ]
}

fn measures() -> (Vec<f64>, Vec<f64>) {
    (vec![1.0, 60_000.0], vec![1.0, 1.0])
}

async fn write(analytics: &Analytics, facts: &CallFacts, home: BusinessId, version: u64, token: &str) {
    let rows = [CallRow::live(facts, home, version, 4, measures())];
    analytics.insert_calls(&rows, token).await.unwrap();
    analytics
        .insert_transcripts(&[TranscriptRow::live(facts, &items(), home, version)], token)
        .await
        .unwrap();
}

fn event(tenant_number: u128, offset: i64, id: &str, received_at: i64, body: &'static [u8]) -> EventRow {
    EventRow {
        tenant: Uuid::from_u128(tenant_number),
        workspace: Uuid::from_u128(77),
        log: "log-a".into(),
        log_partition: 4,
        log_offset: offset,
        received_at,
        event: if id.is_empty() { String::new() } else { "call_started".into() },
        kind: if id.is_empty() { String::new() } else { "call".into() },
        call_id: id.into(),
        routing_key: id.into(),
        content: "ab".repeat(32),
        source: "webhook".into(),
        set_aside: if id.is_empty() { "not_utf8".into() } else { String::new() },
        masked: false,
        body: Raw(bytes::Bytes::from_static(body)),
    }
}

#[tokio::test]
async fn the_schema_is_made_once_and_a_second_run_changes_nothing() {
    let analytics = analytics("schema_twice").await;
    let again = analytics.migrate().await.unwrap();
    assert_eq!((again.applied.len(), again.before), (0, 4));
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
    let aside = analytics.set_aside(tenant(1), Millis(NOON + 1), 10).await.unwrap();
    assert_eq!((aside.len(), aside[0].set_aside.as_str()), (1, "not_utf8"));
    assert_eq!(
        analytics.event_body(tenant(1), &aside[0].place()).await.unwrap().as_deref(),
        Some(&b"\xff\x00?"[..])
    );
    assert_eq!(analytics.event_body(tenant(2), &aside[0].place()).await.unwrap(), None);
    assert!(analytics.set_aside(tenant(2), Millis(NOON + 1), 10).await.unwrap().is_empty());
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
            .calls(tenant(1), &CallFilter::default(), &Turning::First, 10)
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
async fn pages_go_both_ways_without_gaps_or_repeats() {
    let analytics = analytics("pages").await;
    // Several calls open in the same millisecond, so the id has to break the tie.
    let rows: Vec<CallRow> = (0..23)
        .map(|n| CallRow::live(&facts(1, &format!("c{n:02}"), NOON + n / 4), business(9), 3 << 16, 4, measures()))
        .collect();
    analytics.insert_calls(&rows, "pages").await.unwrap();
    let filter = CallFilter::default();
    let (mut turning, mut seen, mut pages) = (Turning::First, Vec::new(), Vec::new());
    loop {
        let page = analytics.calls(tenant(1), &filter, &turning, 5).await.unwrap();
        seen.extend(page.calls.iter().map(|call| call.call_id.clone()));
        let older = page.older.clone();
        pages.push(page);
        match older {
            Some(cursor) => turning = Turning::Older(cursor.to_string().parse().unwrap()),
            None => break,
        }
    }
    let mut wanted: Vec<String> = (0..23).map(|n| format!("c{n:02}")).collect();
    wanted.reverse();
    assert_eq!(seen, wanted);
    assert_eq!(pages[0].newer, None);
    for pair in pages.windows(2) {
        let back = Turning::Newer(pair[1].newer.clone().unwrap());
        let page = analytics.calls(tenant(1), &filter, &back, 5).await.unwrap();
        assert_eq!(page.calls, pair[0].calls);
    }
    let total = analytics.calls_total(tenant(1), &filter).await.unwrap();
    assert_eq!((total.calls, total.exact), (23, true));
    assert!(
        analytics
            .calls(tenant(2), &filter, &Turning::First, 5)
            .await
            .unwrap()
            .calls
            .is_empty()
    );
}

#[tokio::test]
async fn every_filter_finds_its_call_and_leaves_the_other() {
    let analytics = analytics("filters").await;
    let wanted = facts(1, "call_wanted", NOON);
    let mut other = facts(1, "call_other", NOON - 86_400_000);
    other.agent_id = Some("agent_2".into());
    other.direction = Direction::Outbound;
    other.channel = Channel::Web;
    other.state = CallState::Ongoing;
    other.reason = Some("dial_busy".into());
    other.reason_class = Some(ReasonClass::Callee);
    other.analysis.sentiment = Some(Sentiment::Negative);
    other.analysis.successful = Some(false);
    other.from_number = Some("anonymous".into());
    other.to_number = None;
    other.duration_ms = None;
    other.transfers.clear();
    other.key.kind = Kind::Chat;
    write(&analytics, &wanted, business(9), 3 << 16, "wanted").await;
    analytics
        .insert_calls(&[CallRow::live(&other, business(8), 3 << 16, 4, measures())], "other")
        .await
        .unwrap();
    analytics
        .insert_transcripts(
            &[TranscriptRow::live(
                &other,
                &[said(Role::User, "something else")],
                business(8),
                3 << 16,
            )],
            "other",
        )
        .await
        .unwrap();
    let none = CallFilter::default;
    let filters = [
        CallFilter {
            from: Some(Millis(NOON)),
            ..none()
        },
        CallFilter {
            businesses: vec![business(9), business(5)],
            ..none()
        },
        CallFilter {
            kind: Some(Kind::Call),
            ..none()
        },
        CallFilter {
            agents: vec!["agent_1".into()],
            ..none()
        },
        CallFilter {
            directions: vec![Direction::Inbound],
            ..none()
        },
        CallFilter {
            channels: vec![Channel::Phone, Channel::Other],
            ..none()
        },
        CallFilter {
            states: vec![CallState::Ended],
            ..none()
        },
        CallFilter {
            reason_classes: vec![ReasonClass::Normal],
            ..none()
        },
        CallFilter {
            reasons: vec!["user_hangup".into()],
            ..none()
        },
        CallFilter {
            sentiments: vec![Sentiment::Positive],
            ..none()
        },
        CallFilter {
            successful: Some(true),
            ..none()
        },
        CallFilter {
            number: Some("0049 (0)30 / 123-45 67".into()),
            ..none()
        },
        CallFilter {
            number: Some("(415) 555-0100".into()),
            ..none()
        },
        CallFilter {
            id: Some("call_w".into()),
            ..none()
        },
        CallFilter {
            duration_min_ms: Some(60_000),
            ..none()
        },
        CallFilter {
            duration_max_ms: Some(60_000),
            ..none()
        },
        CallFilter {
            transferred: Some(true),
            ..none()
        },
        CallFilter {
            words: Words::typed("table \"vier, 元気\""),
            ..none()
        },
    ];
    for filter in filters {
        let page = analytics.calls(tenant(1), &filter, &Turning::First, 10).await.unwrap();
        let ids: Vec<&str> = page.calls.iter().map(|call| call.call_id.as_str()).collect();
        assert_eq!(ids, ["call_wanted"], "{filter:?}");
        assert_eq!(analytics.calls_total(tenant(1), &filter).await.unwrap().calls, 1, "{filter:?}");
    }
    let missing = [
        CallFilter {
            words: Words::typed("refund"),
            ..none()
        },
        CallFilter {
            words: Words::typed("t_ble"),
            ..none()
        },
        CallFilter {
            words: Words::typed("table else"),
            ..none()
        },
        CallFilter {
            to: Some(Millis(NOON - 86_400_000)),
            ..none()
        },
        CallFilter {
            id: Some("' OR 1=1 --".into()),
            ..none()
        },
        CallFilter {
            agents: vec!["x'] OR 1=1 --\\".into()],
            ..none()
        },
    ];
    for filter in missing {
        assert!(
            analytics
                .calls(tenant(1), &filter, &Turning::First, 10)
                .await
                .unwrap()
                .calls
                .is_empty(),
            "{filter:?}"
        );
    }
    let anonymous = CallFilter {
        number: Some("Anonym".into()),
        ..none()
    };
    assert_eq!(
        analytics.calls(tenant(1), &anonymous, &Turning::First, 10).await.unwrap().calls[0].call_id,
        "call_other"
    );
    let said = CallFilter {
        words: Words::typed("TABLE"),
        ..none()
    };
    let page = analytics.calls(tenant(1), &said, &Turning::First, 10).await.unwrap();
    let marked: Vec<&str> = page.hits[0][0]
        .parts
        .iter()
        .filter(|part| part.hit)
        .map(|part| part.text.as_str())
        .collect();
    assert_eq!((marked, page.hits[0][0].item), (vec!["TABLE"], 1));
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
    let away = Analytics::connect(AnalyticsOptions::new("http://127.0.0.1:9", "u", "p".to_owned().into(), "d"));
    let error = away.insert_events(&[event(1, 0, "a", NOON, b"{}")], "t").await.unwrap_err();
    assert!(matches!(error, AnalyticsError::Unavailable { .. }), "{error:?}");
    let engine = engine();
    let missing = Analytics::connect(AnalyticsOptions::new(
        &engine.url,
        &engine.user,
        engine.password.clone(),
        "not_migrated",
    ));
    let error = missing.insert_events(&[event(1, 0, "a", NOON, b"{}")], "t").await.unwrap_err();
    assert!(matches!(error, AnalyticsError::Refused { .. }), "{error:?}");
    assert!(error.passes());
}
