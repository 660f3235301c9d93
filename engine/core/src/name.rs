//! Event names that Retell documents, and what each of them proves (rules A9, B3, B4).

/// A documented event name (rule A9: 8 voice, 3 chat, `transcript_updated` of both, 2 alerts, 2 inbound hooks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Name {
    /// `call_started`
    CallStarted,
    /// `call_ended`
    CallEnded,
    /// `call_analyzed`
    CallAnalyzed,
    /// `transcript_updated`, of calls and chats
    TranscriptUpdated,
    /// `transfer_started`
    TransferStarted,
    /// `transfer_bridged`
    TransferBridged,
    /// `transfer_cancelled`
    TransferCancelled,
    /// `transfer_ended`
    TransferEnded,
    /// `chat_started`
    ChatStarted,
    /// `chat_ended`
    ChatEnded,
    /// `chat_analyzed`
    ChatAnalyzed,
    /// `alert_triggered`
    AlertTriggered,
    /// `alert_resolved`
    AlertResolved,
    /// `call_inbound`, a hook that waits for an answer
    CallInbound,
    /// `chat_inbound`, a hook that waits for an answer
    ChatInbound,
}

/// All documented names with their spelling.
pub const NAMES: [(&str, Name); 15] = [
    ("call_started", Name::CallStarted),
    ("call_ended", Name::CallEnded),
    ("call_analyzed", Name::CallAnalyzed),
    ("transcript_updated", Name::TranscriptUpdated),
    ("transfer_started", Name::TransferStarted),
    ("transfer_bridged", Name::TransferBridged),
    ("transfer_cancelled", Name::TransferCancelled),
    ("transfer_ended", Name::TransferEnded),
    ("chat_started", Name::ChatStarted),
    ("chat_ended", Name::ChatEnded),
    ("chat_analyzed", Name::ChatAnalyzed),
    ("alert_triggered", Name::AlertTriggered),
    ("alert_resolved", Name::AlertResolved),
    ("call_inbound", Name::CallInbound),
    ("chat_inbound", Name::ChatInbound),
];

impl Name {
    /// The documented name of this spelling, letter by letter.
    pub fn parse(text: &str) -> Option<Name> {
        NAMES.iter().find(|(spelling, _)| *spelling == text).map(|(_, name)| *name)
    }

    /// The spelling.
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// Rank among the events of one call (rule B3); 0 for what is no event of a call.
    pub fn rank(self) -> u8 {
        match self {
            Name::CallStarted | Name::ChatStarted => 1,
            Name::TranscriptUpdated => 2,
            Name::TransferStarted | Name::TransferBridged | Name::TransferCancelled => 3,
            Name::CallEnded | Name::ChatEnded => 4,
            Name::CallAnalyzed | Name::ChatAnalyzed => 5,
            Name::TransferEnded => 6,
            Name::AlertTriggered | Name::AlertResolved | Name::CallInbound | Name::ChatInbound => 0,
        }
    }

    /// Proof that the call is over (rule B4).
    pub fn ends(self) -> bool {
        self.rank() >= 4
    }

    /// Documented to come at most once per call, so that other content is a revision (rule B2).
    pub fn is_once_only(self) -> bool {
        matches!(
            self,
            Name::CallStarted | Name::CallEnded | Name::CallAnalyzed | Name::ChatStarted | Name::ChatEnded | Name::ChatAnalyzed
        )
    }

    /// One of the four transfer events, whose content leaves the agent out (rule B1).
    pub fn is_transfer(self) -> bool {
        matches!(
            self,
            Name::TransferStarted | Name::TransferBridged | Name::TransferCancelled | Name::TransferEnded
        )
    }
}
