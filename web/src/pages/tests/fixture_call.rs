//! A made-up call with everything in it.

use std::sync::Arc;

use trunkline_core::facts::*;
use trunkline_core::id::{CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::fixture::NOW;

/// Facts of a call, running or over.
pub fn facts(live: bool) -> CallFacts {
    let start = NOW - 892_000;
    let text = |text: &str| Some(Arc::<str>::from(text));
    let note = |event: &str, after: i64, repeats, unknown| EventNote {
        event: event.into(),
        received_at: Millis(start + after),
        repeats,
        revision: false,
        unknown,
    };
    let mut events = vec![note("call_started", 200, 0, false), note("transcript_updated", 447_000, 1, false)];
    if !live {
        events.extend([
            note("call_ended", 892_400, 0, false),
            note("call_mood_changed", 893_000, 0, true),
            note("call_analyzed", 899_000, 0, false),
        ]);
    }
    CallFacts {
        key: CallKey {
            tenant: TenantId(Uuid::from_u128(1)),
            kind: Kind::Call,
            id: "call_7f0c5d1e2a3b4c5d6e7f8a9ba91e".into(),
        },
        workspace: WorkspaceId(Uuid::from_u128(2)),
        owner_agent: text("agent_en"),
        agent_id: text("agent_oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD"),
        agent_version: Some(12),
        agent_name: text("Reception EN"),
        agent_tag: None,
        channel: Channel::Phone,
        direction: Direction::Inbound,
        from_number: text("+15550100147"),
        to_number: text("+15550100200"),
        state: if live { CallState::Ongoing } else { CallState::Ended },
        end_inferred: false,
        presumed_ended: false,
        status_raw: text("ongoing"),
        reason: (!live).then(|| "user_hangup".into()),
        reason_class: (!live).then_some(ReasonClass::Normal),
        connected: true,
        first_received_at: Millis(start + 200),
        last_received_at: Millis(NOW - 2_000),
        started_at: Some(Millis(start)),
        ended_at: (!live).then_some(Millis(NOW)),
        transfer_ended_at: None,
        transfer_destination: None,
        duration_ms: (!live).then_some(892_000),
        repaired: false,
        ended_event_at: None,
        analysis_event_at: None,
        analysed: !live,
        analysis: if live {
            Analysis::default()
        } else {
            Analysis {
                summary: text(
                    "The caller asked three times for a Thursday appointment after four. The calendar did not answer, and the agent promised a call back from the front desk within fifteen minutes.",
                ),
                successful: Some(true),
                sentiment: Some(Sentiment::Negative),
                sentiment_raw: text("Negative"),
                in_voicemail: Some(false),
                custom: vec![
                    ("appointment_wanted".into(), "\"Thursday after 16:00\"".into()),
                    ("call_back_promised".into(), "true".into()),
                    ("name".into(), "\"J. Ferreira\"".into()),
                ],
            }
        },
        speech: Speech {
            turns: 31,
            agent_turns: 16,
            user_turns: 15,
            first_agent_word_ms: Some(900),
            first_user_word_ms: Some(4_000),
            agent_talk_ms: Some(480_000),
            user_talk_ms: Some(340_000),
            overtalk_ms: Some(4_000),
            interruptions: 2,
            last_response_ms: Some(1_900),
            characters: 4_120,
        },
        tool_calls: 3,
        tool_failures: 1,
        transfers: if live {
            vec![]
        } else {
            vec![Transfer {
                destination: "+15550100999".into(),
                extension: None,
                started_at: Some(Millis(start + 800_000)),
                bridged_at: None,
                cancelled_at: Some(Millis(start + 830_000)),
                ended_at: None,
                bridged_inferred: false,
                waited_ms: Some(30_000),
            }]
        },
        latency: if live {
            vec![]
        } else {
            vec![
                (Stage::E2e, samples(1040.0)),
                (Stage::Asr, samples(210.0)),
                (Stage::Llm, samples(560.0)),
                (Stage::Tts, samples(270.0)),
            ]
        },
        cost: (!live).then(|| Cost {
            combined_cents: Some(61.0),
            parts_cents: Some(61.0),
            transfer_leg_cents: None,
            total_seconds: Some(892.0),
            unit_price_cents: Some(0.068),
            parts: vec![
                ("elevenlabs_tts".into(), 34.2),
                ("gpt_4_1".into(), 16.1),
                ("retell_platform".into(), 8.9),
                ("twilio".into(), 1.8),
            ],
        }),
        language: text("en"),
        recording_url: (!live).then(|| "https://recordings.example.org/call.wav".into()),
        metadata: vec![("crm_id".into(), "\"A-10442\"".into())],
        variables: vec![("clinic".into(), "\"Northside\"".into())],
        collected: vec![("wanted_day".into(), "\"Thursday\"".into())],
        last_said: Some((Role::Agent, "I am sorry for the trouble.".into())),
        last_said_at: Some(Millis(NOW - 2_000)),
        records: 34,
        repeats: 1,
        revisions: 0,
        unreadable: vec![],
        events,
    }
}

/// A transcript with a failed tool, a whisper, a pause and three scripts.
pub fn transcript() -> Vec<Item> {
    let mut items = vec![
        item(Role::Agent, "Welcome to Northside Clinics, how can I help you today?", 900, 4_000),
        item(
            Role::User,
            "Hello. I would like to move my appointment, please. Thursday, if you can.",
            4_600,
            11_000,
        ),
        item(Role::Node, "Reschedule", 11_200, 11_200),
        item(
            Role::Agent,
            "I can offer Wednesday at ten or Friday at half past two. Which suits you better?",
            12_000,
            19_000,
        ),
        item(Role::User, "Neither. I said Thursday, any time after four.", 26_000, 30_500),
    ];
    let mut call = item(
        Role::ToolCall,
        "{\"day\":\"2026-11-26\",\"after\":\"16:00\",\"service\":\"dental check\"}",
        31_000,
        31_000,
    );
    call.tool = Some("check_availability".into());
    call.tool_call_id = Some("t1".into());
    let mut result = item(Role::ToolResult, "401 calendar token expired", 31_300, 31_300);
    result.tool_call_id = Some("t1".into());
    result.successful = Some(false);
    items.extend([
        call,
        result,
        item(
            Role::Agent,
            "One moment please, I am still looking for a Thursday appointment.",
            32_400,
            38_000,
        ),
        item(
            Role::User,
            "أريد موعدًا مع طبيب الأسنان يوم الخميس بعد الساعة الرابعة",
            39_000,
            44_000,
        ),
        item(
            Role::Injected,
            "Offer a call back from the front desk within 15 minutes.",
            45_000,
            45_000,
        ),
        item(
            Role::User,
            "I have told you three times now, I need the Thursday slot.",
            45_500,
            50_000,
        ),
        item(
            Role::Agent,
            "I am sorry for the trouble. Our front desk will call you back within fifteen minutes, is this number fine for",
            51_000,
            60_000,
        ),
    ]);
    items
}

fn item(role: Role, content: &str, start_ms: i64, end_ms: i64) -> Item {
    Item {
        role,
        role_raw: None,
        content: content.into(),
        start_ms: Some(start_ms),
        end_ms: Some(end_ms),
        tool: None,
        tool_call_id: None,
        tool_type: None,
        successful: None,
        words: [].into(),
    }
}

fn samples(middle: f64) -> Arc<[f64]> {
    (0..40).map(|i| middle * (0.6 + i as f64 * 0.02)).collect()
}
