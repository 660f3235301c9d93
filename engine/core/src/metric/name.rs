//! The names of all metrics, in the order in which they are stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! metrics {
    ($($name:ident = $id:literal,)*) => {
        /// A metric of the catalogue. The order is the order of the stored arrays: append, never insert, never remove.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Metric {
            $(#[doc = concat!("`", $id, "`: see its [`crate::metric::Definition`].")] $name,)*
        }

        impl Metric {
            /// All metrics in stored order.
            pub const ALL: &'static [Metric] = &[$(Metric::$name),*];
            /// How many there are.
            pub const COUNT: usize = Metric::ALL.len();

            /// The name in the API, in settings and in stored reports.
            pub const fn id(self) -> &'static str {
                match self { $(Metric::$name => $id),* }
            }
        }
    };
}

metrics! {
    CallsInProgress = "calls_in_progress",
    CallsDialling = "calls_dialling",
    CallsTalking = "calls_talking",
    CallsTransferring = "calls_transferring",
    CallsWithPerson = "calls_with_person",
    TransfersOpen = "transfers_open",
    ConcurrencyUsed = "concurrency_used",
    ConcurrencyPeak = "concurrency_peak",
    ConcurrencyMean = "concurrency_mean",
    TimeAtLimit = "time_at_limit",
    LongestWait = "longest_wait",
    CallsOffered = "calls_offered",
    CallsAnswered = "calls_answered",
    AnswerRate = "answer_rate",
    CallsBlocked = "calls_blocked",
    BlockingRate = "blocking_rate",
    ArrivalRate = "arrival_rate",
    ServiceLevelAi = "service_level_ai",
    AsaAi = "asa_ai",
    AbandonmentAi = "abandonment_ai",
    ShortAbandonmentAi = "short_abandonment_ai",
    ServiceLevelHuman = "service_level_human",
    AsaHuman = "asa_human",
    AbandonmentHuman = "abandonment_human",
    TransfersStarted = "transfers_started",
    TransferSuccess = "transfer_success",
    TransferUnknown = "transfer_unknown",
    TransferRate = "transfer_rate",
    AhtAi = "aht_ai",
    AhtCall = "aht_call",
    DurationKnown = "duration_known",
    AgentTalkShare = "agent_talk_share",
    UserTalkShare = "user_talk_share",
    SilenceShare = "silence_share",
    OvertalkShare = "overtalk_share",
    InterruptionRate = "interruption_rate",
    Containment = "containment",
    SuccessRate = "success_rate",
    AnalysedShare = "analysed_share",
    SentimentNegative = "sentiment_negative",
    SentimentPositiveCount = "sentiment_positive_count",
    SentimentNeutralCount = "sentiment_neutral_count",
    SentimentNegativeCount = "sentiment_negative_count",
    SentimentUnknownCount = "sentiment_unknown_count",
    SentimentOtherCount = "sentiment_other_count",
    LatencyE2e = "latency_e2e",
    LatencyAsr = "latency_asr",
    LatencyLlm = "latency_llm",
    LatencyTts = "latency_tts",
    LatencyKnowledgeBase = "latency_knowledge_base",
    LatencyS2s = "latency_s2s",
    LatencyLlmWebsocketNetworkRtt = "latency_llm_websocket_network_rtt",
    ConnectRate = "connect_rate",
    ContactRate = "contact_rate",
    VoicemailRate = "voicemail_rate",
    DialRefused = "dial_refused",
    DialRouteFailed = "dial_route_failed",
    SilentConnectRate = "silent_connect_rate",
    ErrorRate = "error_rate",
    ErrorOwnModel = "error_own_model",
    ErrorProvider = "error_provider",
    ErrorRoute = "error_route",
    ToolFailureRate = "tool_failure_rate",
    Cost = "cost",
    CostPerCall = "cost_per_call",
    CostPerMinute = "cost_per_minute",
    IntakeLag = "intake_lag",
    AnalysisDelay = "analysis_delay",
    EndedNormal = "ended_normal",
    EndedIntervened = "ended_intervened",
    EndedMachine = "ended_machine",
    EndedLimit = "ended_limit",
    EndedNotJoined = "ended_not_joined",
    EndedCallee = "ended_callee",
    EndedRoute = "ended_route",
    EndedBlocked = "ended_blocked",
    EndedFaultOwnModel = "ended_fault_own_model",
    EndedFaultProvider = "ended_fault_provider",
    EndedTransferNotDone = "ended_transfer_not_done",
    EndedNew = "ended_new",
    EndedNoReason = "ended_no_reason",
    ChatsInProgress = "chats_in_progress",
    ChatsStarted = "chats_started",
    ChatSuccessRate = "chat_success_rate",
}

impl Metric {
    /// Position in the catalogue and in the stored arrays.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// It counts calls of one class of endings.
    pub(super) const fn is_ended_class(self) -> bool {
        Metric::EndedNormal as u8 <= self as u8 && self as u8 <= Metric::EndedNoReason as u8
    }
}

/// A name that is no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric \"{0}\"; the catalogue lists the names")]
pub struct UnknownMetric(pub String);

impl FromStr for Metric {
    type Err = UnknownMetric;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Metric::ALL.iter().find(|metric| metric.id() == text);
        found.copied().ok_or_else(|| UnknownMetric(text.to_owned()))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
