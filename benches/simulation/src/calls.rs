//! What Retell sends in a run: the lives of some calls and chats, in the wrong order, twice, or cut short; and bodies that are none.

use bytes::Bytes;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use trunkline_core::id::{TenantId, WorkspaceId};

use crate::house::{AGENTS, TENANTS, agent, any_workspace, brand, tenant};
use crate::world::NOON;

/// One body on its way to the intake.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Milliseconds after the beginning.
    pub at_ms: u64,
    /// Whose address it goes to.
    pub tenant: TenantId,
    /// Which of its workspaces.
    pub workspace: WorkspaceId,
    /// As it is.
    pub body: Bytes,
}

/// Longest time in which calls begin.
const SPAN_MS: u64 = 9_000;

/// Everything that is sent in a run, by time.
pub fn script(chance: &mut ChaCha8Rng) -> Vec<Sent> {
    let mut sent = Vec::new();
    let calls = chance.random_range(3..=10);
    for number in 0..calls {
        let of = chance.random_range(0..TENANTS);
        life(chance, of, number, &mut sent);
        // The other organisation has one of the same name.
        if chance.random_bool(0.2) {
            life(chance, TENANTS - 1 - of, number, &mut sent);
        }
    }
    for number in 0..chance.random_range(0..3) {
        let of = chance.random_range(0..TENANTS);
        let body = match number {
            0 => Bytes::from_static(b"{\"event\":\"call_started\",\"call\":{"),
            1 => Bytes::from(json!({"event": "call_paused", "call": {"call_id": "call_strange"}}).to_string()),
            _ => Bytes::from(json!({"event": "alert_triggered", "alert": {"alert_id": "a1"}}).to_string()),
        };
        put(chance, of, 0, SPAN_MS, &body, &mut sent);
    }
    let doubles = chance.random_range(0.0..0.3);
    for at in 0..sent.len() {
        if chance.random_bool(doubles) {
            let mut again = sent[at].clone();
            again.at_ms += chance.random_range(0..4_000);
            sent.push(again);
        }
    }
    sent.sort_by_key(|sent| sent.at_ms);
    sent
}

fn put(chance: &mut ChaCha8Rng, of: usize, from_ms: u64, to_ms: u64, body: &Bytes, sent: &mut Vec<Sent>) {
    sent.push(Sent {
        at_ms: chance.random_range(from_ms..=to_ms),
        tenant: tenant(of),
        workspace: any_workspace(of, chance),
        body: body.clone(),
    });
}

/// The events of one call or chat.
fn life(chance: &mut ChaCha8Rng, of: usize, number: usize, sent: &mut Vec<Sent>) {
    let is_chat = chance.random_bool(0.2);
    let begin_ms = chance.random_range(0..SPAN_MS);
    let turns = chance.random_range(0..6usize);
    let talk_ms = chance.random_range(1_000..60_000i64);
    let agent = agent(chance.random_range(0..AGENTS));
    let start = NOON + begin_ms as i64;
    let workspace = any_workspace(of, chance);
    let base = |event: &str, turns: usize| {
        let mut call = Map::new();
        let (id, kind) = if is_chat { ("chat_id", "chat") } else { ("call_id", "call") };
        call.insert(id.into(), json!(format!("{kind}_{number}")));
        call.insert("agent_id".into(), json!(agent));
        call.insert("agent_name".into(), json!(format!("{agent} {}", brand(of))));
        call.insert("start_timestamp".into(), json!(start));
        if !is_chat {
            call.insert("call_type".into(), json!("phone_call"));
            call.insert(
                "direction".into(),
                json!(if number.is_multiple_of(2) { "inbound" } else { "outbound" }),
            );
        }
        if turns > 0 && !is_chat {
            call.insert("transcript_object".into(), said(turns, of));
        }
        (event.to_owned(), call)
    };
    let whole = |(event, call): (String, Map<String, Value>)| {
        let mut body = Map::new();
        body.insert("event".into(), json!(event));
        body.insert(if is_chat { "chat" } else { "call" }.into(), Value::Object(call));
        Bytes::from(Value::Object(body).to_string())
    };
    let word = |call: &str, chat: &str| if is_chat { chat.to_owned() } else { call.to_owned() };
    let status = if is_chat { "chat_status" } else { "call_status" };
    let mut bodies = Vec::new();
    if chance.random_bool(0.9) {
        let (event, mut call) = base(&word("call_started", "chat_started"), 0);
        call.insert(status.into(), json!("ongoing"));
        bodies.push(whole((event, call)));
    }
    for turn in 1..=turns {
        let (event, mut call) = base("transcript_updated", turn);
        call.insert(status.into(), json!("ongoing"));
        bodies.push(whole((event, call)));
    }
    if !is_chat && chance.random_bool(0.2) {
        for event in ["transfer_started", "transfer_bridged", "transfer_ended"]
            .iter()
            .take(chance.random_range(1..=3))
        {
            let (event, call) = base(event, turns);
            bodies.push(whole((event, call)));
        }
    }
    let ended = |call: &mut Map<String, Value>| {
        call.insert(status.into(), json!("ended"));
        call.insert("end_timestamp".into(), json!(start + talk_ms));
        call.insert("duration_ms".into(), json!(talk_ms));
        call.insert("disconnection_reason".into(), json!("user_hangup"));
        if !is_chat {
            let cents = (talk_ms % 997) as f64 / 100.0;
            call.insert(
                "call_cost".into(),
                json!({"product_costs": [{"product": "elevenlabs_tts", "cost": cents}], "total_duration_seconds": talk_ms / 1_000, "combined_cost": cents}),
            );
        }
    };
    if chance.random_bool(0.85) {
        let (event, mut call) = base(&word("call_ended", "chat_ended"), turns);
        ended(&mut call);
        bodies.push(whole((event, call)));
    }
    if chance.random_bool(0.7) {
        let (event, mut call) = base(&word("call_analyzed", "chat_analyzed"), turns);
        ended(&mut call);
        let analysis = if is_chat { "chat_analysis" } else { "call_analysis" };
        call.insert(
            analysis.into(),
            json!({"call_summary": format!("All well {}.", brand(of)), "call_successful": true, "user_sentiment": "Positive", "in_voicemail": false}),
        );
        bodies.push(whole((event, call)));
    }
    if chance.random_bool(0.25) {
        bodies.shuffle(chance);
    }
    let mut at_ms = begin_ms;
    for body in bodies {
        at_ms += chance.random_range(0..1_500);
        sent.push(Sent {
            at_ms,
            tenant: tenant(of),
            workspace,
            body,
        });
    }
    // A word after everything else: for a call that may have left memory by then.
    if chance.random_bool(0.15) {
        let (event, mut call) = base(&word("call_analyzed", "chat_analyzed"), turns);
        ended(&mut call);
        sent.push(Sent {
            at_ms: at_ms + chance.random_range(3_000..12_000),
            tenant: tenant(of),
            workspace,
            body: whole((event, call)),
        });
    }
}

fn said(turns: usize, of: usize) -> Value {
    let turn = |n: usize| {
        let role = if n.is_multiple_of(2) { "agent" } else { "user" };
        let start = n as f64 * 2.0;
        json!({"role": role, "content": format!("turn {n} {}", brand(of)), "words": [{"word": "turn", "start": start, "end": start + 1.0}]})
    };
    (0..turns).map(turn).collect()
}
