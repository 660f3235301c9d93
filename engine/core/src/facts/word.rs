//! The closed words in which a call is described: states, channels, directions, classes, moods, roles, stages.

use serde::{Deserialize, Serialize};

/// Where a call stands, by evidence and never backwards (rule B4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// An id was issued or a number is being dialled; nobody speaks yet.
    Registered,
    /// Connected and running.
    Ongoing,
    /// Over.
    Ended,
}

/// What carries the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// `phone_call`.
    Phone,
    /// `web_call`.
    Web,
    /// A chat.
    Chat,
    /// Missing or a value we do not know.
    Other,
}

/// Who rang whom; phone calls only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The customer rang us.
    Inbound,
    /// We rang the customer.
    Outbound,
    /// Web calls, chats, and what we do not know.
    None,
}

/// Class of a `disconnection_reason`: the versioned table of RULES.md part C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonClass {
    /// Ended as conversations end.
    Normal,
    /// A person of ours stopped it or took over.
    Intervened,
    /// Voicemail or a phone menu answered.
    Machine,
    /// Ran into a time limit.
    Limit,
    /// The other side never joined.
    NotJoined,
    /// Busy, no answer, declined.
    Callee,
    /// The number or the route failed.
    Route,
    /// Our own account or limit kept it out.
    Blocked,
    /// Fault in the customer's own model server.
    FaultOwnModel,
    /// Fault at the provider.
    FaultProvider,
    /// A transfer agent's call whose transfer was not done.
    TransferNotDone,
    /// A value that is not in the table yet: kept, counted, alerted.
    New,
}

/// How the caller felt, as Retell's analysis says (rule B10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    /// Positive.
    Positive,
    /// Neutral.
    Neutral,
    /// Negative.
    Negative,
    /// Retell says that it does not know.
    Unknown,
    /// A word that is not in the table: kept, never read as unknown.
    Other,
}

/// Who or what an entry of the transcript is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The AI agent spoke.
    Agent,
    /// The caller spoke.
    User,
    /// The person the call was transferred to spoke.
    TransferTarget,
    /// A tool was invoked.
    ToolCall,
    /// A tool answered.
    ToolResult,
    /// The conversation flow moved to another node or state.
    Node,
    /// A key was pressed.
    Dtmf,
    /// A text message.
    Sms,
    /// Text put into the conversation from outside (whisper).
    Injected,
    /// A role we do not know; shown as it came.
    #[default]
    Other,
}

impl Role {
    /// True for spoken entries: they are the turns of rule B6.
    pub fn speaks(self) -> bool {
        matches!(self, Role::Agent | Role::User | Role::TransferTarget)
    }
}

/// Pipeline stage of a latency sample, Retell's keys of `latency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Caller stops to agent starts.
    E2e,
    /// Speech to text.
    Asr,
    /// Language model.
    Llm,
    /// Network round trip to the customer's own model server.
    LlmWebsocketNetworkRtt,
    /// Text to speech.
    Tts,
    /// Knowledge base.
    KnowledgeBase,
    /// Speech to speech.
    S2s,
}

/// All channels, in the order of their stored numbers: append, never insert.
pub(crate) const CHANNELS: [Channel; 4] = [Channel::Phone, Channel::Web, Channel::Chat, Channel::Other];

/// All directions, in the order of their stored numbers: append, never insert.
pub(crate) const DIRECTIONS: [Direction; 3] = [Direction::Inbound, Direction::Outbound, Direction::None];

/// All states, in the order of their stored numbers: append, never insert.
pub(crate) const STATES: [CallState; 3] = [CallState::Registered, CallState::Ongoing, CallState::Ended];

/// All stages, in the order they are shown.
pub const STAGES: [Stage; 7] = [
    Stage::E2e,
    Stage::Asr,
    Stage::Llm,
    Stage::Tts,
    Stage::KnowledgeBase,
    Stage::S2s,
    Stage::LlmWebsocketNetworkRtt,
];

impl Stage {
    /// Retell's key of this stage.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::E2e => "e2e",
            Stage::Asr => "asr",
            Stage::Llm => "llm",
            Stage::LlmWebsocketNetworkRtt => "llm_websocket_network_rtt",
            Stage::Tts => "tts",
            Stage::KnowledgeBase => "knowledge_base",
            Stage::S2s => "s2s",
        }
    }
}
