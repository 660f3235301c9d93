//! A made-up page of the call log.

use trunkline_core::id::Kind;
use trunkline_stores::clickhouse::{CallPage, Cursor, Hit, ListedCall, Part};
use uuid::Uuid;

use super::fixture::NOW;

/// A page of calls over two days, the first with a found word.
pub fn page() -> CallPage {
    let calls: Vec<ListedCall> = (0..24).map(call).collect();
    let mut hits = vec![Vec::new(); calls.len()];
    let part = |text: &str, hit| Part {
        text: text.to_owned(),
        hit,
    };
    hits[1] = vec![Hit {
        item: 3,
        role: trunkline_core::facts::Role::User,
        parts: vec![
            part("I would like a ", false),
            part("refund", true),
            part(" for the last visit", false),
        ],
    }];
    CallPage {
        calls,
        hits,
        older: Some(Cursor {
            opened_at: 1,
            call_id: "c".into(),
            kind: Kind::Call,
        }),
        newer: None,
    }
}

fn call(i: i64) -> ListedCall {
    let classes = [
        "normal",
        "normal",
        "machine",
        "normal",
        "intervened",
        "fault_provider",
        "callee",
        "normal",
    ];
    let class = classes[i as usize % classes.len()];
    let ended = i > 1;
    let agents = ["Reception EN", "Reception ES", "Recall", "Follow-up"];
    let summaries = [
        "The caller moved the appointment to Thursday at four.",
        "La paciente confirmó su cita del lunes.",
        "",
        "お客様は予約を火曜日に変更しました。",
        "طلب المتصل موعدًا جديدًا مع الطبيب.",
        "The caller asked for the price of a dental check and will call again after talking to the family, who decide together about dates.",
    ];
    ListedCall {
        business: Uuid::from_u128(1),
        workspace: Uuid::from_u128(2),
        opened_at: NOW - i * 2_710_000,
        closed_at: ended.then_some(NOW - i * 2_710_000 + 161_000),
        last_received_at: NOW,
        kind: "call".into(),
        call_id: format!("call_{i:028}"),
        agent_id: "agent_en".into(),
        agent_name: agents[i as usize % 4].into(),
        agent_version: Some(12 - i % 3),
        channel: "phone".into(),
        direction: if i % 3 == 2 { "outbound" } else { "inbound" }.into(),
        from_number: "+15550100147".into(),
        to_number: "+4930123456".into(),
        state: if ended { "ended" } else { "ongoing" }.into(),
        end_inferred: false,
        presumed_ended: i == 9,
        reason: if ended { "user_hangup".into() } else { String::new() },
        reason_class: if ended { class.into() } else { String::new() },
        connected: class != "callee",
        duration_ms: ended.then_some(40_000 + i * 17_300),
        analysed: ended,
        summary: if ended {
            summaries[i as usize % summaries.len()].into()
        } else {
            String::new()
        },
        successful: ended.then_some(i % 4 != 1),
        sentiment: if ended {
            ["positive", "neutral", "negative", "unknown"][i as usize % 4].into()
        } else {
            String::new()
        },
        in_voicemail: None,
        turns: (i * 3) as u32,
        tool_calls: 1,
        tool_failures: 0,
        transfers: 0,
        cost_cents: ended.then_some(12.4 + i as f64 * 3.1),
        language: "en".into(),
        last_said: "Sure, put me down for the ninth.".into(),
    }
}
