//! What is known of one call, in plain fields: the one form that boards, lists, the API and ClickHouse share.
//!
//! Made by [`crate::call::Call::facts`]; every consumer reads this and nothing else of a call.

mod word;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{CallKey, WorkspaceId};
use crate::instant::Millis;

pub(crate) use word::{CHANNELS, DIRECTIONS, STATES};
pub use word::{CallState, Channel, Direction, ReasonClass, Role, STAGES, Sentiment, Stage};

/// One spoken word with its place in the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word as spelled, with its own spaces.
    pub text: Arc<str>,
    /// Milliseconds from the start of the call.
    pub start_ms: i64,
    /// Milliseconds from the start of the call.
    pub end_ms: i64,
}

/// One entry of a transcript: a turn, a tool call, a key press...
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Who or what.
    pub role: Role,
    /// The role as it came, when it is [`Role::Other`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_raw: Option<Arc<str>>,
    /// What was said; of a tool call its arguments, of a result its content, of a node its new name, of a key the digit.
    pub content: Arc<str>,
    /// Milliseconds from the start of the call, where known (first word, or `time_sec`).
    pub start_ms: Option<i64>,
    /// End of the last word.
    pub end_ms: Option<i64>,
    /// Name of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Arc<str>>,
    /// Ties a result to its call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<Arc<str>>,
    /// The tool's type word (`custom`, `end_call`...).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_type: Option<Arc<str>>,
    /// What the result says of success; often missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<bool>,
    /// Word times; empty when Retell sent none.
    #[serde(default, skip_serializing_if = "<[Word]>::is_empty")]
    pub words: Arc<[Word]>,
}

/// One attempt to pass the caller on (rule B7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Number or SIP address; empty when Retell did not say.
    pub destination: Arc<str>,
    /// Extension, when there is one.
    pub extension: Option<Arc<str>>,
    /// `transfer_started` received.
    pub started_at: Option<Millis>,
    /// Both parties connected.
    pub bridged_at: Option<Millis>,
    /// Cancelled or not connected.
    pub cancelled_at: Option<Millis>,
    /// The transferred leg ended.
    pub ended_at: Option<Millis>,
    /// True when only `transfer_ended` told that it had bridged (cold transfer).
    pub bridged_inferred: bool,
    /// Start to outcome in ms; missing if unknown or negative.
    pub waited_ms: Option<i64>,
}

/// Cost of a call (rule B8). Cents of a US dollar, with fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Cost {
    /// What Retell says it costs; missing stays missing.
    pub combined_cents: Option<f64>,
    /// Sum of all parts, transfer legs included.
    pub parts_cents: Option<f64>,
    /// The share of transfer legs in the parts.
    pub transfer_leg_cents: Option<f64>,
    /// Billed seconds.
    pub total_seconds: Option<f64>,
    /// Cents per second.
    pub unit_price_cents: Option<f64>,
    /// Product and cents.
    pub parts: Vec<(Arc<str>, f64)>,
}

impl Cost {
    /// Largest difference between the combined cost and its parts that is float noise, in cents (rule B8).
    pub const NOISE_CENTS: f64 = 0.01;

    /// True when the sum of the parts has to be shown beside the combined cost (rule B8).
    pub fn parts_differ(&self) -> bool {
        match (self.combined_cents, self.parts_cents) {
            (Some(combined), Some(parts)) => (combined - parts).abs() > Cost::NOISE_CENTS,
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }
}

/// What the post-call analysis says; each field its own register (rules B3, B5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Analysis {
    /// Summary in words.
    pub summary: Option<Arc<str>>,
    /// Retell's verdict on the task.
    pub successful: Option<bool>,
    /// Mood, read by rule B10.
    pub sentiment: Option<Sentiment>,
    /// Mood as spelled.
    pub sentiment_raw: Option<Arc<str>>,
    /// Whether a voicemail answered.
    pub in_voicemail: Option<bool>,
    /// The agent's own analysis fields: name and value as JSON text.
    pub custom: Vec<(Arc<str>, Arc<str>)>,
}

/// One received event on the call's own list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventNote {
    /// Event name as it came.
    pub event: Arc<str>,
    /// When the door took it.
    pub received_at: Millis,
    /// Further receipts with the same content (rule B2).
    pub repeats: u32,
    /// True when a once-only event came again with other content (rule B2).
    pub revision: bool,
    /// True for names outside Retell's documented list (rule A10).
    pub unknown: bool,
}

/// Speech figures from word times; missing when there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Speech {
    /// Turns: spoken entries with text (rule B6).
    pub turns: u32,
    /// Turns of the agent.
    pub agent_turns: u32,
    /// Turns of the caller.
    pub user_turns: u32,
    /// First word of the agent, ms from the start of the call.
    pub first_agent_word_ms: Option<i64>,
    /// First word of the caller, ms from the start of the call.
    pub first_user_word_ms: Option<i64>,
    /// Sum of the agent's speech.
    pub agent_talk_ms: Option<i64>,
    /// Sum of the caller's speech.
    pub user_talk_ms: Option<i64>,
    /// Time in which both spoke.
    pub overtalk_ms: Option<i64>,
    /// Caller turns that began before the agent's last word ended.
    pub interruptions: u32,
    /// How long the caller last waited for the agent to speak; from word times, so an estimate. Retell's own figures come at the end.
    pub last_response_ms: Option<i64>,
    /// Code points of all turns.
    pub characters: u64,
}

/// All that is known of one call or chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallFacts {
    /// Which call.
    pub key: CallKey,
    /// The workspace whose address the first record came to.
    pub workspace: WorkspaceId,
    /// Agent of the first record by stamp that names one: it decides the business (rule A13).
    pub owner_agent: Option<Arc<str>>,
    /// Agent by the merge rules.
    pub agent_id: Option<Arc<str>>,
    /// Its version.
    pub agent_version: Option<i64>,
    /// Its name.
    pub agent_name: Option<Arc<str>>,
    /// Its tag.
    pub agent_tag: Option<Arc<str>>,
    /// Phone, web, chat.
    pub channel: Channel,
    /// Inbound, outbound.
    pub direction: Direction,
    /// Far or near number as text (rule B11).
    pub from_number: Option<Arc<str>>,
    /// Far or near number as text.
    pub to_number: Option<Arc<str>>,
    /// Registered, ongoing, ended.
    pub state: CallState,
    /// Ended without a `call_ended` (rule B4).
    pub end_inferred: bool,
    /// Closed by the reaper (rule B4).
    pub presumed_ended: bool,
    /// `call_status` as it came.
    pub status_raw: Option<Arc<str>>,
    /// `disconnection_reason` as it came.
    pub reason: Option<Arc<str>>,
    /// Its class.
    pub reason_class: Option<ReasonClass>,
    /// `transfer_destination` of the call itself, a text: where the call went when it was passed on.
    pub transfer_destination: Option<Arc<str>>,
    /// RULES.md part C, last paragraph; false for chats.
    pub connected: bool,
    /// Earliest stamp: when we first heard of it.
    pub first_received_at: Millis,
    /// Latest stamp.
    pub last_received_at: Millis,
    /// `start_timestamp`, if usable (rule B9).
    pub started_at: Option<Millis>,
    /// `end_timestamp`, if usable.
    pub ended_at: Option<Millis>,
    /// `transfer_end_timestamp`, if usable.
    pub transfer_ended_at: Option<Millis>,
    /// Duration by rule B9.
    pub duration_ms: Option<i64>,
    /// A timestamp in seconds was read as such (rule B9).
    pub repaired: bool,
    /// Receipt of the first `call_ended` or `chat_ended`.
    pub ended_event_at: Option<Millis>,
    /// Receipt of the first `call_analyzed` or `chat_analyzed` (rule B5).
    pub analysis_event_at: Option<Millis>,
    /// Rule B5: analysis content is there.
    pub analysed: bool,
    /// The analysis.
    pub analysis: Analysis,
    /// Turns and talk times.
    pub speech: Speech,
    /// Tool invocations.
    pub tool_calls: u32,
    /// Tool results that say they failed.
    pub tool_failures: u32,
    /// Transfer attempts (rule B7).
    pub transfers: Vec<Transfer>,
    /// Latency samples in ms by stage, only stages that have some.
    pub latency: Vec<(Stage, Arc<[f64]>)>,
    /// Cost (rule B8).
    pub cost: Option<Cost>,
    /// Language, when Retell or the transcript's script tells it (BCP 47, for `lang=`).
    pub language: Option<Arc<str>>,
    /// Recording address, first non-empty.
    pub recording_url: Option<Arc<str>>,
    /// `metadata`, merged by key: name and value as JSON text.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// `retell_llm_dynamic_variables`, merged by key.
    pub variables: Vec<(Arc<str>, Arc<str>)>,
    /// `collected_dynamic_variables`, merged by key.
    pub collected: Vec<(Arc<str>, Arc<str>)>,
    /// The last turn, for lists: who and what.
    pub last_said: Option<(Role, Arc<str>)>,
    /// Receipt of the last growth of the transcript.
    pub last_said_at: Option<Millis>,
    /// Distinct records merged (repeats and unknown events included).
    pub records: u32,
    /// Repeats among them.
    pub repeats: u32,
    /// Revisions among them.
    pub revisions: u32,
    /// Fields that were there but unreadable (rule A8): name and count.
    pub unreadable: Vec<(Arc<str>, u32)>,
    /// Received events in stamp order.
    pub events: Vec<EventNote>,
}

impl CallFacts {
    /// A call of which nothing is known but that a record of it came at `received_at`.
    pub fn blank(key: CallKey, workspace: WorkspaceId, received_at: Millis) -> CallFacts {
        CallFacts {
            key,
            workspace,
            owner_agent: None,
            agent_id: None,
            agent_version: None,
            agent_name: None,
            agent_tag: None,
            channel: Channel::Other,
            direction: Direction::None,
            from_number: None,
            to_number: None,
            state: CallState::Registered,
            end_inferred: false,
            presumed_ended: false,
            status_raw: None,
            reason: None,
            reason_class: None,
            transfer_destination: None,
            connected: false,
            first_received_at: received_at,
            last_received_at: received_at,
            started_at: None,
            ended_at: None,
            transfer_ended_at: None,
            duration_ms: None,
            repaired: false,
            ended_event_at: None,
            analysis_event_at: None,
            analysed: false,
            analysis: Analysis::default(),
            speech: Speech::default(),
            tool_calls: 0,
            tool_failures: 0,
            transfers: Vec::new(),
            latency: Vec::new(),
            cost: None,
            language: None,
            recording_url: None,
            metadata: Vec::new(),
            variables: Vec::new(),
            collected: Vec::new(),
            last_said: None,
            last_said_at: None,
            records: 0,
            repeats: 0,
            revisions: 0,
            unreadable: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The moment the call belongs to on the arrival base: its start; of one that never connected its end, if we heard of it later
    /// (a call that was filled in days afterwards belongs to its own day), else when we first heard of it.
    pub fn opened_at(&self) -> Millis {
        let heard_at = self.first_received_at;
        self.started_at
            .unwrap_or_else(|| self.ended_at.map_or(heard_at, |ended_at| heard_at.min(ended_at)))
    }

    /// The moment the call belongs to on the completion base; `None` while it runs.
    pub fn closed_at(&self) -> Option<Millis> {
        (self.state == CallState::Ended).then(|| self.ended_at.or(self.ended_event_at).unwrap_or(self.last_received_at))
    }
}
