//! The latest state of one call as a row.

use std::sync::Arc;

use clickhouse::Row;
use serde::Serialize;
use trunkline_core::facts::{CallFacts, Cost, Transfer};
use trunkline_core::id::{BusinessId, CallKey};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{map, millis, text, word};

/// The latest state of one call: table `calls`.
#[derive(Debug, Clone, PartialEq, Default, Row, Serialize)]
#[allow(missing_docs)] // the columns are described in clickhouse/0002_calls.sql
pub struct CallRow {
    #[serde(with = "clickhouse::serde::uuid")]
    pub tenant: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    pub business: Uuid,
    pub opened_at: i64,
    pub kind: String,
    pub call_id: Arc<str>,
    pub version: u64,
    pub is_deleted: u8,
    #[serde(with = "clickhouse::serde::uuid")]
    pub workspace: Uuid,
    pub log_partition: u32,
    pub owner_agent: Arc<str>,
    pub agent_id: Arc<str>,
    pub agent_name: Arc<str>,
    pub agent_tag: Arc<str>,
    pub agent_version: Option<i64>,
    pub channel: String,
    pub direction: String,
    pub from_number: Arc<str>,
    pub to_number: Arc<str>,
    pub state: String,
    pub end_inferred: bool,
    pub presumed_ended: bool,
    pub status_raw: Arc<str>,
    pub reason: Arc<str>,
    pub reason_class: String,
    pub connected: bool,
    pub first_received_at: i64,
    pub last_received_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub transfer_ended_at: Option<i64>,
    pub closed_at: Option<i64>,
    pub duration_ms: Option<i64>,
    pub repaired: bool,
    pub ended_event_at: Option<i64>,
    pub analysis_event_at: Option<i64>,
    pub analysed: bool,
    pub summary: Arc<str>,
    pub successful: Option<bool>,
    pub sentiment: String,
    pub sentiment_raw: Arc<str>,
    pub in_voicemail: Option<bool>,
    pub custom: Vec<(Arc<str>, String)>,
    pub turns: u32,
    pub agent_turns: u32,
    pub user_turns: u32,
    pub first_agent_word_ms: Option<i64>,
    pub first_user_word_ms: Option<i64>,
    pub agent_talk_ms: Option<i64>,
    pub user_talk_ms: Option<i64>,
    pub overtalk_ms: Option<i64>,
    pub interruptions: u32,
    pub characters: u64,
    pub tool_calls: u32,
    pub tool_failures: u32,
    pub transfer_destination: Vec<Arc<str>>,
    pub transfer_extension: Vec<Arc<str>>,
    pub transfer_started_at: Vec<Option<i64>>,
    pub transfer_bridged_at: Vec<Option<i64>>,
    pub transfer_cancelled_at: Vec<Option<i64>>,
    pub transfer_finished_at: Vec<Option<i64>>,
    pub transfer_inferred: Vec<bool>,
    pub transfer_waited_ms: Vec<Option<i64>>,
    pub latency: Vec<(String, Arc<[f64]>)>,
    pub cost_combined_cents: Option<f64>,
    pub cost_parts_cents: Option<f64>,
    pub cost_transfer_cents: Option<f64>,
    pub cost_seconds: Option<f64>,
    pub cost_unit_cents: Option<f64>,
    pub cost_product: Vec<Arc<str>>,
    pub cost_cents: Vec<f64>,
    pub language: Arc<str>,
    pub recording_url: Arc<str>,
    pub metadata: Vec<(Arc<str>, String)>,
    pub variables: Vec<(Arc<str>, String)>,
    pub collected: Vec<(Arc<str>, String)>,
    pub last_said: Arc<str>,
    pub records: u32,
    pub repeats: u32,
    pub revisions: u32,
    pub measure_num: Vec<f64>,
    pub measure_den: Vec<f64>,
    pub facts: String,
}

impl CallRow {
    /// The live row of a call in `business`. `measures` are its numerators and denominators in the order of the catalogue.
    pub fn live(facts: &CallFacts, business: BusinessId, version: u64, log_partition: u32, measures: (Vec<f64>, Vec<f64>)) -> Self {
        let cost = facts.cost.clone().unwrap_or_default();
        let Cost {
            combined_cents,
            parts_cents,
            transfer_leg_cents,
            total_seconds,
            unit_price_cents,
            parts,
        } = cost;
        let (cost_product, cost_cents) = parts.into_iter().unzip();
        let each = |pick: fn(&Transfer) -> Option<Millis>| -> Vec<Option<i64>> {
            facts.transfers.iter().map(|transfer| millis(pick(transfer))).collect()
        };
        let (speech, analysis) = (&facts.speech, &facts.analysis);
        Self {
            tenant: facts.key.tenant.0,
            business: business.0,
            opened_at: facts.opened_at().0,
            kind: facts.key.kind.as_str().to_owned(),
            call_id: facts.key.id.clone(),
            version,
            is_deleted: 0,
            workspace: facts.workspace.0,
            log_partition,
            owner_agent: text(&facts.owner_agent),
            agent_id: text(&facts.agent_id),
            agent_name: text(&facts.agent_name),
            agent_tag: text(&facts.agent_tag),
            agent_version: facts.agent_version,
            channel: word(&facts.channel),
            direction: word(&facts.direction),
            from_number: text(&facts.from_number),
            to_number: text(&facts.to_number),
            state: word(&facts.state),
            end_inferred: facts.end_inferred,
            presumed_ended: facts.presumed_ended,
            status_raw: text(&facts.status_raw),
            reason: text(&facts.reason),
            reason_class: word(&facts.reason_class),
            connected: facts.connected,
            first_received_at: facts.first_received_at.0,
            last_received_at: facts.last_received_at.0,
            started_at: millis(facts.started_at),
            ended_at: millis(facts.ended_at),
            transfer_ended_at: millis(facts.transfer_ended_at),
            closed_at: millis(facts.closed_at()),
            duration_ms: facts.duration_ms,
            repaired: facts.repaired,
            ended_event_at: millis(facts.ended_event_at),
            analysis_event_at: millis(facts.analysis_event_at),
            analysed: facts.analysed,
            summary: text(&analysis.summary),
            successful: analysis.successful,
            sentiment: word(&analysis.sentiment),
            sentiment_raw: text(&analysis.sentiment_raw),
            in_voicemail: analysis.in_voicemail,
            custom: map(&analysis.custom),
            turns: speech.turns,
            agent_turns: speech.agent_turns,
            user_turns: speech.user_turns,
            first_agent_word_ms: speech.first_agent_word_ms,
            first_user_word_ms: speech.first_user_word_ms,
            agent_talk_ms: speech.agent_talk_ms,
            user_talk_ms: speech.user_talk_ms,
            overtalk_ms: speech.overtalk_ms,
            interruptions: speech.interruptions,
            characters: speech.characters,
            tool_calls: facts.tool_calls,
            tool_failures: facts.tool_failures,
            transfer_destination: facts.transfers.iter().map(|t| t.destination.clone()).collect(),
            transfer_extension: facts.transfers.iter().map(|t| text(&t.extension)).collect(),
            transfer_started_at: each(|t| t.started_at),
            transfer_bridged_at: each(|t| t.bridged_at),
            transfer_cancelled_at: each(|t| t.cancelled_at),
            transfer_finished_at: each(|t| t.ended_at),
            transfer_inferred: facts.transfers.iter().map(|t| t.bridged_inferred).collect(),
            transfer_waited_ms: facts.transfers.iter().map(|t| t.waited_ms).collect(),
            latency: facts
                .latency
                .iter()
                .map(|(stage, samples)| (stage.as_str().to_owned(), samples.clone()))
                .collect(),
            cost_combined_cents: combined_cents,
            cost_parts_cents: parts_cents,
            cost_transfer_cents: transfer_leg_cents,
            cost_seconds: total_seconds,
            cost_unit_cents: unit_price_cents,
            cost_product,
            cost_cents,
            language: text(&facts.language),
            recording_url: text(&facts.recording_url),
            metadata: map(&facts.metadata),
            variables: map(&facts.variables),
            collected: map(&facts.collected),
            last_said: facts.last_said.as_ref().map(|(_, said)| said.clone()).unwrap_or_default(),
            records: facts.records,
            repeats: facts.repeats,
            revisions: facts.revisions,
            measure_num: measures.0,
            measure_den: measures.1,
            facts: serde_json::to_string(facts).expect("facts are plain fields with text keys"),
        }
    }

    /// The row that takes a call away from an old place.
    pub fn cancelled(key: &CallKey, business: BusinessId, opened_at: Millis, version: u64) -> Self {
        Self {
            tenant: key.tenant.0,
            business: business.0,
            opened_at: opened_at.0,
            kind: key.kind.as_str().to_owned(),
            call_id: key.id.clone(),
            version,
            is_deleted: 1,
            ..Self::default()
        }
    }
}
