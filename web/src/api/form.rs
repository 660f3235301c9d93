//! The forms of `/v1`: what a call looks like to a program. Moments are RFC 3339 in UTC; missing is null.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use trunkline_core::access::Sight;
use trunkline_core::facts::{CallFacts, CallState, Item};
use trunkline_core::id::{BusinessId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::ListedCall;
use utoipa::ToSchema;

use super::objects::Objects;
use crate::error::{Kind as ProblemKind, Problem};
use crate::pages::format::masked;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The things.
    pub data: Vec<T>,
    /// Whether there is a further page.
    pub has_more: bool,
    /// Goes on after the last one: `after=`.
    pub next_cursor: Option<String>,
    /// Goes back before the first one: `before=`.
    pub previous_cursor: Option<String>,
}

/// Who spoke for us.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Agent {
    /// Retell's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<i64>,
}

/// One call or chat in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Call {
    /// Always `call`.
    pub object: &'static str,
    /// Retell's id; unique within `kind`.
    pub id: String,
    /// `call` or `chat`.
    pub kind: String,
    /// The business it belongs to.
    pub business_id: Option<String>,
    /// The workspace it came through.
    pub workspace_id: String,
    /// The agent.
    pub agent: Agent,
    /// `phone`, `web`, `chat` or `other`.
    pub channel: String,
    /// `inbound`, `outbound` or `none`.
    pub direction: String,
    /// Calling number, as text.
    pub from_number: Option<String>,
    /// Called number, as text.
    pub to_number: Option<String>,
    /// `registered`, `ongoing` or `ended`.
    pub state: String,
    /// Ended without an end event.
    pub end_inferred: bool,
    /// Closed after long silence; a late event corrects it.
    pub presumed_ended: bool,
    /// Why it ended, in Retell's word.
    pub reason: Option<String>,
    /// Class of that reason.
    pub reason_class: Option<String>,
    /// Both sides were on the line.
    pub connected: bool,
    /// When it belongs on a time line: its start, else when we first heard of it.
    pub opened_at: Option<String>,
    /// When it was over.
    pub closed_at: Option<String>,
    /// Newest event.
    pub last_received_at: Option<String>,
    /// Length in ms.
    pub duration_ms: Option<i64>,
    /// The analysis has come.
    pub analysed: bool,
    /// Its summary.
    pub summary: Option<String>,
    /// Its verdict.
    pub successful: Option<bool>,
    /// `positive`, `neutral`, `negative`, `unknown` or `other`.
    pub sentiment: Option<String>,
    /// A voicemail answered.
    pub in_voicemail: Option<bool>,
    /// Spoken turns.
    pub turns: u32,
    /// Tool invocations.
    pub tool_calls: u32,
    /// Tool results that say they failed.
    pub tool_failures: u32,
    /// Attempts to pass the caller on.
    pub transfers: u32,
    /// Combined cost in cents of a US dollar.
    pub cost_cents: Option<f64>,
    /// Language (BCP 47).
    pub language: Option<String>,
}

/// One call or chat in full.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CallDetail {
    /// As in lists.
    #[serde(flatten)]
    pub call: Call,
    /// Attempts to pass the caller on, in order; moments in ms since the epoch.
    #[schema(value_type = Vec<Object>)]
    pub transfer_attempts: Value,
    /// Latency samples in ms by stage.
    #[schema(value_type = BTreeMap<String, Vec<f64>>)]
    pub latency_ms: BTreeMap<&'static str, Vec<f64>>,
    /// Cost with its parts.
    #[schema(value_type = Option<Object>)]
    pub cost: Value,
    /// The agent's own analysis fields.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub custom_analysis: BTreeMap<String, Value>,
    /// `metadata` as set at Retell.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub metadata: BTreeMap<String, Value>,
    /// Variables given to the agent.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub variables: BTreeMap<String, Value>,
    /// Variables the agent collected.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub collected: BTreeMap<String, Value>,
    /// Turns, talk times, interruptions.
    #[schema(value_type = Object)]
    pub speech: Value,
    /// Address of the recording.
    pub recording_url: Option<String>,
    /// Fields that came but could not be read, with counts.
    pub unreadable: BTreeMap<String, u32>,
}

/// One entry of a transcript.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Turn {
    /// Place, from 0.
    pub index: usize,
    /// The entry: `role`, `content`, `start_ms`, `end_ms`, tool fields, `words`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub item: Item,
}

/// Reads the body of a change: 400 for what is no JSON, 422 for what is not taken here.
pub fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = T::deserialize(Objects(&mut reader)).and_then(|value| reader.end().map(|()| value));
    let refused = |detail| Err(Problem::new(ProblemKind::Unprocessable, detail));
    match read {
        Err(error) if !error.is_data() => Err(Problem::new(ProblemKind::BadRequest, format!("The body is no JSON: {error}."))),
        // Also an enumeration that is told apart by a field would be read from an array.
        _ if body.trim_ascii_start().first() != Some(&b'{') => {
            refused("The body has to be one JSON object, with its fields by name: {\"name\": ...}.".to_owned())
        }
        Ok(value) => Ok(value),
        Err(error) => refused(format!("The body is not what is taken here: {error}.")),
    }
}

/// A field that may be left out, be null, or have a value: all three mean different things in a change.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// RFC 3339 in UTC; `None` outside the calendar.
pub fn moment(at: Millis) -> Option<String> {
    Timestamp::from_millisecond(at.0).ok().map(|at| at.to_string())
}

/// The word that serde writes for an enumeration.
pub fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl Call {
    /// From a line of the call log.
    pub fn listed(call: ListedCall) -> Call {
        Call {
            object: "call",
            id: call.call_id,
            kind: call.kind,
            business_id: Some(BusinessId(call.business).to_string()),
            workspace_id: WorkspaceId(call.workspace).to_string(),
            agent: Agent {
                id: some(call.agent_id),
                name: some(call.agent_name),
                version: call.agent_version,
            },
            channel: call.channel,
            direction: call.direction,
            from_number: some(call.from_number),
            to_number: some(call.to_number),
            state: call.state,
            end_inferred: call.end_inferred,
            presumed_ended: call.presumed_ended,
            reason: some(call.reason),
            reason_class: some(call.reason_class),
            connected: call.connected,
            opened_at: moment(Millis(call.opened_at)),
            closed_at: call.closed_at.and_then(|at| moment(Millis(at))),
            last_received_at: moment(Millis(call.last_received_at)),
            duration_ms: call.duration_ms,
            analysed: call.analysed,
            summary: some(call.summary),
            successful: call.successful,
            sentiment: some(call.sentiment),
            in_voicemail: call.in_voicemail,
            turns: call.turns,
            tool_calls: call.tool_calls,
            tool_failures: call.tool_failures,
            transfers: call.transfers,
            cost_cents: call.cost_cents,
            language: some(call.language),
        }
    }

    /// From the facts of a call in memory.
    pub fn of(facts: &CallFacts, business: Option<BusinessId>) -> Call {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        Call {
            object: "call",
            id: facts.key.id.to_string(),
            kind: facts.key.kind.as_str().to_owned(),
            business_id: business.map(|id| id.to_string()),
            workspace_id: facts.workspace.to_string(),
            agent: Agent {
                id: text(&facts.agent_id),
                name: text(&facts.agent_name),
                version: facts.agent_version,
            },
            channel: word(facts.channel),
            direction: word(facts.direction),
            from_number: text(&facts.from_number),
            to_number: text(&facts.to_number),
            state: word(facts.state),
            end_inferred: facts.end_inferred,
            presumed_ended: facts.presumed_ended,
            reason: text(&facts.reason),
            reason_class: facts.reason_class.map(word),
            connected: facts.connected,
            opened_at: moment(facts.opened_at()),
            closed_at: facts.closed_at().filter(|_| facts.state == CallState::Ended).and_then(moment),
            last_received_at: moment(facts.last_received_at),
            duration_ms: facts.duration_ms,
            analysed: facts.analysed,
            summary: text(&facts.analysis.summary),
            successful: facts.analysis.successful,
            sentiment: facts.analysis.sentiment.map(word),
            in_voicemail: facts.analysis.in_voicemail,
            turns: facts.speech.turns,
            tool_calls: facts.tool_calls,
            tool_failures: facts.tool_failures,
            transfers: facts.transfers.len() as u32,
            cost_cents: facts.cost.as_ref().and_then(|cost| cost.combined_cents),
            language: text(&facts.language),
        }
    }

    /// With numbers masked, for those who may read calls but no numbers.
    pub fn masked(mut self) -> Call {
        for number in [&mut self.from_number, &mut self.to_number].into_iter().flatten() {
            *number = masked(number);
        }
        self
    }

    /// Without what only those may see who may read calls.
    pub fn without_parties(mut self) -> Call {
        self.from_number = None;
        self.to_number = None;
        self.summary = None;
        self
    }
}

impl CallDetail {
    /// A call as somebody sees who may see the numbers of `numbers`; of others, they are masked.
    pub fn seen(facts: &CallFacts, business: Option<BusinessId>, numbers: &Sight) -> CallDetail {
        if numbers.sees(business, facts.agent_id.as_deref()) {
            return CallDetail::of(facts, business);
        }
        CallDetail::of(&without_numbers(facts), business)
    }

    /// Everything of a call.
    pub fn of(facts: &CallFacts, business: Option<BusinessId>) -> CallDetail {
        // Names and values of JSON text; a value that is no JSON (it always is) would be shown as text.
        let map = |pairs: &[(std::sync::Arc<str>, std::sync::Arc<str>)]| {
            let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
            pairs.iter().map(|(name, value)| (name.to_string(), read(value))).collect()
        };
        CallDetail {
            call: Call::of(facts, business),
            transfer_attempts: serde_json::to_value(&facts.transfers).unwrap_or_default(),
            latency_ms: facts
                .latency
                .iter()
                .map(|(stage, samples)| (stage.as_str(), samples.to_vec()))
                .collect(),
            cost: serde_json::to_value(&facts.cost).unwrap_or_default(),
            custom_analysis: map(&facts.analysis.custom),
            metadata: map(&facts.metadata),
            variables: map(&facts.variables),
            collected: map(&facts.collected),
            speech: serde_json::to_value(&facts.speech).unwrap_or_default(),
            recording_url: facts.recording_url.as_deref().map(str::to_owned),
            unreadable: facts.unreadable.iter().map(|(name, count)| (name.to_string(), *count)).collect(),
        }
    }
}

/// The facts of a call for somebody who may not see numbers: those of caller, called and transfers are masked.
pub fn without_numbers(facts: &CallFacts) -> CallFacts {
    let hide = |number: &Option<Arc<str>>| number.as_deref().map(|number| Arc::from(masked(number)));
    let mut hidden = facts.clone();
    hidden.from_number = hide(&facts.from_number);
    hidden.to_number = hide(&facts.to_number);
    hidden.transfer_destination = hide(&facts.transfer_destination);
    for transfer in &mut hidden.transfers {
        if !transfer.destination.is_empty() {
            transfer.destination = masked(&transfer.destination).into();
        }
    }
    hidden
}

/// A transcript as turns.
pub fn turns(items: &[Item]) -> Vec<Turn> {
    items
        .iter()
        .cloned()
        .enumerate()
        .map(|(index, item)| Turn { index, item })
        .collect()
}
