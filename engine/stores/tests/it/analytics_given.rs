//! What tests of the analytics store are given: a database, and a call with everything in it.

use std::sync::Arc;

use trunkline_core::facts::*;
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{Analytics, AnalyticsOptions, CallRow, EventRow, Raw, TranscriptRow};
use uuid::Uuid;

use crate::engine::engine;

/// 2026-11-22T12:00:00Z.
pub const NOON: i64 = 1_795_348_800_000;

/// A migrated database of its own.
pub async fn analytics(name: &str) -> Analytics {
    let engine = engine();
    let analytics = Analytics::connect(AnalyticsOptions::new(&engine.url, &engine.user, engine.password.clone(), name)).unwrap();
    analytics.migrate().await.unwrap();
    analytics
}

pub fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n))
}

pub fn business(n: u128) -> BusinessId {
    BusinessId(Uuid::from_u128(n))
}

pub fn facts(tenant_number: u128, id: &str, opened_at: i64) -> CallFacts {
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

pub fn said(role: Role, text: &str) -> Item {
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

pub fn items() -> Vec<Item> {
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

pub fn measures() -> (Vec<f64>, Vec<f64>) {
    (vec![1.0, 60_000.0], vec![1.0, 1.0])
}

pub async fn write(analytics: &Analytics, facts: &CallFacts, home: BusinessId, version: u64, token: &str) {
    let rows = [CallRow::live(facts, home, version, 4, measures())];
    analytics.insert_calls(&rows, token).await.unwrap();
    analytics
        .insert_transcripts(&[TranscriptRow::live(facts, &items(), home, version)], token)
        .await
        .unwrap();
}

pub fn event(tenant_number: u128, offset: i64, id: &str, received_at: i64, body: &'static [u8]) -> EventRow {
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
        undocumented: Vec::new(),
        body: Raw(bytes::Bytes::from_static(body)),
    }
}
