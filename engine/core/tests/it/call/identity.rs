//! Whose a call is and what an undocumented event may do (rules A10, A11, A13).

use serde_json::json;
use trunkline_core::call::{Call, Ending};
use trunkline_core::event::{Reading, read};
use trunkline_core::facts::CallState;
use trunkline_core::id::{Kind, TenantId};
use uuid::Uuid;

use super::{chat, voice};
use crate::given::{apply, blank, call_of, event, facts_of, record, tenant, workspace};

#[test]
fn a10_an_unknown_event_is_listed_and_counted_but_creates_nothing_and_names_no_owner() {
    let unknown = voice(
        "call_paused",
        json!({"agent_id": "agent_x", "call_status": "ended", "end_timestamp": 1_793_541_600_000i64, "transcript": "User: hi"}),
    );
    let mut call = blank(Kind::Call, "c");
    let changes = apply(&mut call, &event(&unknown, 0));
    assert!(!changes.created && !changes.state && !call.exists());
    let changes = apply(&mut call, &event(&voice("call_started", json!({"agent_id": "agent_a"})), 1000));
    assert!(changes.created && call.exists());
    let facts = call.facts();
    assert_eq!((facts.state, facts.owner_agent.as_deref()), (CallState::Ongoing, Some("agent_a")));
    assert_eq!((facts.records, facts.events.len(), facts.speech.turns), (2, 2, 0));
    assert_eq!((&*facts.events[0].event, facts.events[0].unknown), ("call_paused", true));
    assert_eq!(facts.first_received_at, event(&unknown, 1000).received_at());
}

#[test]
fn a11_an_inbound_hook_creates_no_call() {
    let body = json!({"event": "call_inbound", "call_inbound": {"call_id": "c", "from_number": "+1", "agent_id": "a"}});
    let Reading::Hook(hook) = read(&record(&body, 0)) else {
        panic!("no hook")
    };
    assert_eq!(
        (hook.id.as_deref(), hook.from.as_deref(), hook.agent.as_deref()),
        (Some("c"), Some("+1"), Some("a"))
    );
}

#[test]
fn a13_the_first_agent_by_stamp_owns_the_call_however_the_records_arrive() {
    let first = event(&voice("call_ended", json!({"agent_id": "agent_first"})), 0);
    let second = event(&voice("call_started", json!({"agent_id": "agent_second"})), 5000);
    let none = event(&voice("transcript_updated", json!({})), -5000);
    let one = call_of(&[first, second, none]).facts();
    assert_eq!(one.owner_agent.as_deref(), Some("agent_first"));
    assert_eq!(one.agent_id.as_deref(), Some("agent_first"), "call_ended has the higher rank");
}

#[test]
fn a13_the_same_id_in_two_tenants_or_of_a_call_and_a_chat_is_two_things() {
    let call = event(&voice("call_started", json!({})), 0);
    let chat = event(&chat("chat_started", json!({})), 0);
    assert_ne!(call.key(), chat.key());
    let mut other = record(&voice("call_started", json!({"tenant": "org_other"})), 0);
    other.header.tenant = TenantId(Uuid::from_u128(99));
    let other = crate::given::event_in(&other);
    assert_ne!(call.key(), other.key());
    assert_eq!((call.key().tenant, other.key().tenant), (tenant(), TenantId(Uuid::from_u128(99))));
}

#[test]
fn the_workspace_is_that_of_the_earliest_record() {
    let mut early = record(&voice("call_started", json!({})), -1000);
    early.header.workspace.0 = Uuid::from_u128(77);
    let early = crate::given::event_in(&early);
    let late = event(&voice("call_ended", json!({})), 0);
    for order in [[&early, &late], [&late, &early]] {
        let mut call = Call::new(late.key().clone(), workspace());
        for event in order {
            assert_eq!(call.apply(event).ending, Ending::Applied);
        }
        assert_eq!(call.facts().workspace, early.workspace());
    }
}

#[test]
fn an_alert_is_read() {
    let Reading::Alert(alert) = read(&record(&crate::given::sample("alert_triggered"), 0)) else {
        panic!("no alert")
    };
    assert!(alert.triggered);
    assert_eq!(
        (alert.metric.as_deref(), alert.value, alert.threshold),
        (Some("call_success_rate"), Some(83.4), Some(90.0))
    );
    assert_eq!(alert.resolved_at, None);
    assert_eq!(facts_of(&[voice("call_started", json!({}))]).records, 1);
}
