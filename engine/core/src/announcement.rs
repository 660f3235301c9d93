//! What the outside is told of a call, and when: once for each thing, whatever the order of events.
//!
//! The form is versioned (`version` in the body) and held by a golden file. It names no person: no numbers, no words. Who needs them asks
//! `/v1/calls/{id}` with the id.

use serde::{Deserialize, Serialize};

use crate::facts::{CallFacts, CallState, Channel, Direction, Sentiment};
use crate::id::{BusinessId, Kind};
use crate::instant::Millis;
use crate::usage::usage;

/// Version of the body.
pub const VERSION: u32 = 1;

/// Something that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topic {
    /// The call is over.
    #[serde(rename = "call.ended")]
    CallEnded,
    /// The analysis of the call is there (rule B5).
    #[serde(rename = "call.analyzed")]
    CallAnalyzed,
    /// The chat is over.
    #[serde(rename = "chat.ended")]
    ChatEnded,
    /// The analysis of the chat is there.
    #[serde(rename = "chat.analyzed")]
    ChatAnalyzed,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 4] = [Topic::CallEnded, Topic::CallAnalyzed, Topic::ChatEnded, Topic::ChatAnalyzed];

    /// The name as endpoints ask for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Topic::CallEnded => "call.ended",
            Topic::CallAnalyzed => "call.analyzed",
            Topic::ChatEnded => "chat.ended",
            Topic::ChatAnalyzed => "chat.analyzed",
        }
    }

    /// The topic of this name.
    pub fn parse(text: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.as_str() == text)
    }
}

/// What has been told of a call. Stored as a number; bits are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told(pub i16);

/// The end was presumed from silence; when it is proved it is told again.
const PRESUMED_END: i16 = 1;
const END: i16 = 2;
const ANALYSIS: i16 = 4;

impl Told {
    fn note(&mut self, what: i16) -> bool {
        let is_new = self.0 & what == 0;
        self.0 |= what;
        is_new
    }

    /// What is to be told now, in order; notes it as told.
    pub fn tell(&mut self, facts: &CallFacts) -> Vec<Topic> {
        let is_call = facts.key.kind == Kind::Call;
        let mut topics = Vec::new();
        if facts.state == CallState::Ended {
            let news = if facts.presumed_ended {
                self.0 & END == 0 && self.note(PRESUMED_END)
            } else {
                self.note(END)
            };
            topics.extend(news.then_some(if is_call { Topic::CallEnded } else { Topic::ChatEnded }));
        }
        if facts.analysed && self.note(ANALYSIS) {
            topics.push(if is_call { Topic::CallAnalyzed } else { Topic::ChatAnalyzed });
        }
        topics
    }
}

fn written(at: Option<Millis>) -> Option<String> {
    at.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok())
        .map(|at| format!("{at:.3}"))
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    topic: Topic,
    version: u32,
    timestamp: Option<String>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    kind: Kind,
    business_id: String,
    agent_id: Option<&'a str>,
    channel: Channel,
    direction: Direction,
    state: CallState,
    end: Option<&'static str>,
    connected: bool,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    disconnection_reason: Option<&'a str>,
    cost_microcents: Option<i64>,
    analysis: Option<Verdict>,
}

#[derive(Serialize)]
struct Verdict {
    successful: Option<bool>,
    sentiment: Option<Sentiment>,
    in_voicemail: Option<bool>,
}

/// The body that endpoints receive.
pub fn body(topic: Topic, facts: &CallFacts, business: BusinessId, now: Millis) -> String {
    let end = match facts.state {
        CallState::Ended if facts.presumed_ended => Some("presumed"),
        CallState::Ended if facts.end_inferred => Some("inferred"),
        CallState::Ended => Some("reported"),
        CallState::Registered | CallState::Ongoing => None,
    };
    let used = usage(facts);
    let body = Body {
        topic,
        version: VERSION,
        timestamp: written(Some(now)),
        data: Data {
            id: &facts.key.id,
            kind: facts.key.kind,
            business_id: business.to_string(),
            agent_id: facts.agent_id.as_deref(),
            channel: facts.channel,
            direction: facts.direction,
            state: facts.state,
            end,
            connected: facts.connected,
            started_at: written(facts.started_at),
            ended_at: written(facts.ended_at),
            duration_ms: facts.duration_ms,
            disconnection_reason: facts.reason.as_deref(),
            cost_microcents: (used.priced > 0).then(|| i64::try_from(used.cost_microcents).unwrap_or(i64::MAX)),
            analysis: facts.analysed.then_some(Verdict {
                successful: facts.analysis.successful,
                sentiment: facts.analysis.sentiment,
                in_voicemail: facts.analysis.in_voicemail,
            }),
        },
    };
    serde_json::to_string(&body).expect("texts, numbers and names of fields make JSON")
}
