//! A call in progress as one row: what lists show and what the live stream sends for them. Numbers are masked here.

use std::collections::HashMap;

use serde::Serialize;
use trunkline_actors::LiveCall;
use trunkline_core::access::Sight;
use trunkline_core::facts::{CallFacts, CallState, Channel, Direction, Role};
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;
use trunkline_core::metric::Board;

use crate::l10n::Texts;
use crate::pages::format;

/// A caller or agent silent for so long needs a look.
const SILENCE_WATCH_MS: i64 = 12_000;
/// And for so long, now.
const SILENCE_BREACH_MS: i64 = 30_000;
/// A transfer that rings for so long needs a look.
const TRANSFER_WATCH_MS: i64 = 20_000;
/// Last words longer than this are cut: one line of a list shows less.
const SAID_CHARS: usize = 200;

/// What can be odd about a call: the endings of the text keys.
pub const SIGNALS: [&str; 3] = ["tool", "silence", "ringing"];

/// What a minute of each agent's calls costs, as its calls of today say.
#[derive(Debug, Clone, Default)]
pub struct Prices(HashMap<String, f64>);

impl Prices {
    /// From the board of all businesses.
    pub fn of(board: &Board) -> Prices {
        let price = |row: &trunkline_core::metric::AgentRow| Some((row.agent.clone()?, row.cents_per_minute?));
        Prices(board.agents.iter().filter_map(price).collect())
    }
}

/// A row in plain data: scripts write it, the server writes the first ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveRow {
    /// `call` or `chat`.
    pub kind: Kind,
    /// Retell's id.
    pub id: String,
    /// `registered`, `ongoing`, `transfer`, `ended`.
    pub state: &'static str,
    /// Where the age begins.
    pub since: i64,
    /// Agent and version.
    pub agent: String,
    /// Agent's id, for filters.
    pub agent_id: String,
    /// The far side, masked.
    pub caller: String,
    /// `inbound`, `outbound`, `web`, `chat`, `other`.
    pub way: &'static str,
    /// Who spoke last.
    pub who: Option<Role>,
    /// What was said last.
    pub said: String,
    /// When that grew.
    pub said_at: Option<i64>,
    /// Language of the call, for `lang`.
    pub lang: Option<String>,
    /// Turns so far.
    pub turns: u32,
    /// Tool results that failed.
    pub tool_failures: u32,
    /// A transfer rings since.
    pub ringing_since: Option<i64>,
    /// How long the caller last waited for the agent to speak.
    pub response_ms: Option<i64>,
    /// Cost that Retell has told.
    pub cost_cents: Option<f64>,
    /// What a minute of this agent's calls costs: until Retell tells the cost, it is estimated by that.
    pub cents_per_minute: Option<f64>,
}

impl LiveRow {
    /// The row of these facts.
    pub fn of(facts: &CallFacts, prices: &Prices) -> LiveRow {
        let ringing = facts
            .transfers
            .iter()
            .rev()
            .find(|t| t.bridged_at.is_none() && t.cancelled_at.is_none() && t.ended_at.is_none());
        let ringing_since = ringing.and_then(|transfer| transfer.started_at);
        LiveRow {
            kind: facts.key.kind,
            id: facts.key.id.to_string(),
            state: state(facts, ringing_since.is_some()),
            since: facts.opened_at().0,
            agent: agent(facts),
            agent_id: facts.agent_id.as_deref().unwrap_or_default().to_owned(),
            caller: caller(facts),
            way: way(facts.key.kind, facts.channel, facts.direction),
            who: facts.last_said.as_ref().map(|(role, _)| *role),
            said: facts
                .last_said
                .as_ref()
                .map(|(_, text)| text.chars().take(SAID_CHARS).collect())
                .unwrap_or_default(),
            said_at: facts.last_said_at.map(|at| at.0),
            lang: facts.language.as_deref().map(str::to_owned),
            turns: facts.speech.turns,
            tool_failures: facts.tool_failures,
            ringing_since: ringing_since.map(|at| at.0),
            response_ms: facts.speech.last_response_ms,
            cost_cents: facts.cost.as_ref().and_then(|cost| cost.combined_cents),
            cents_per_minute: facts.agent_id.as_deref().and_then(|agent| prices.0.get(agent)).copied(),
        }
    }

    /// The row as somebody sees who may read the calls of `words`: of others, not what was said.
    pub fn seen(call: &LiveCall, prices: &Prices, words: &Sight) -> LiveRow {
        let mut row = LiveRow::of(&call.facts, prices);
        if !words.sees(call.business, call.facts.agent_id.as_deref()) {
            row.said.clear();
            row.who = None;
        }
        row
    }

    /// What it has cost up to `now`: what Retell says, else by the price of its agent's earlier calls.
    pub fn cost(&self, now: Millis) -> Option<f64> {
        let minutes = (now.0 - self.since).max(0) as f64 / 60_000.0;
        let estimate = self
            .cents_per_minute
            .filter(|_| self.state != "registered")
            .map(|cents| cents * minutes);
        self.cost_cents.or(estimate)
    }

    /// What is odd about it: state word and text key with its number.
    pub fn flag(&self, now: Millis) -> Option<(&'static str, &'static str, i64)> {
        if self.state == "ended" {
            return None;
        }
        if let Some(since) = self.ringing_since {
            let waited = now.0 - since;
            return (waited >= TRANSFER_WATCH_MS).then_some(("watch", "flag-ringing", waited / 1000));
        }
        if self.tool_failures > 0 {
            return Some(("breach", "flag-tool", i64::from(self.tool_failures)));
        }
        let silent = now.0 - self.said_at?;
        let state = if silent >= SILENCE_BREACH_MS { "breach" } else { "watch" };
        (self.state == "ongoing" && self.kind == Kind::Call && silent >= SILENCE_WATCH_MS).then_some((state, "flag-silence", silent / 1000))
    }
}

/// A row with its texts, for the server's first rendering.
#[derive(Debug, Clone, Default)]
pub struct ShownRow {
    /// `call:id`, the key of updates.
    pub key: String,
    /// Address of the call page.
    pub href: String,
    /// State for the mark.
    pub state: &'static str,
    /// State in words.
    pub state_word: String,
    /// Age.
    pub age: String,
    /// Agent and version.
    pub agent: String,
    /// Masked number.
    pub caller: String,
    /// "Agent: " before what the agent said; callers go without.
    pub who: String,
    /// Last words.
    pub said: String,
    /// Flag's state.
    pub flag_state: &'static str,
    /// Flag.
    pub flag: String,
    /// Direction or channel.
    pub way: String,
    /// Turns.
    pub turns: String,
    /// How long the caller last waited.
    pub response: String,
    /// Cost so far.
    pub cost: String,
}

impl ShownRow {
    /// The texts of `row` at `now`.
    pub fn of(row: &LiveRow, now: Millis, l: &Texts) -> ShownRow {
        let flag = row.flag(now);
        let who = match row.who {
            Some(Role::User) | None => String::new(),
            Some(role) => format!("{}: ", l.t(&format!("who-{}", role_word(role)))),
        };
        ShownRow {
            key: format!("{}:{}", row.kind.as_str(), row.id),
            href: href(row.kind, &row.id),
            state: row.state,
            state_word: l.t(&format!("call-{}", row.state)),
            age: format::duration(now.0 - row.since),
            agent: row.agent.clone(),
            caller: row.caller.clone(),
            who,
            said: if row.said.is_empty() {
                l.t(&format!("call-{}", row.state))
            } else {
                row.said.clone()
            },
            flag_state: flag.map_or("watch", |(state, _, _)| state),
            flag: flag.map(|(_, key, n)| l.t1(key, "n", n)).unwrap_or_default(),
            way: l.t(&format!("way-{}", row.way)),
            turns: if row.turns == 0 {
                format::DASH.to_owned()
            } else {
                format::count(row.turns.into())
            },
            response: row.response_ms.map_or_else(|| format::DASH.to_owned(), seconds),
            cost: row.cost(now).map_or_else(|| format::DASH.to_owned(), format::money),
        }
    }
}

/// `1.9 s`.
fn seconds(ms: i64) -> String {
    format!("{} s", format::decimal(ms as f64 / 1000.0, 1))
}

/// Address of a call's page.
pub fn href(kind: Kind, id: &str) -> String {
    format!("/calls/{}/{}", kind.as_str(), format::path_segment(id))
}

/// `inbound`, `outbound`, `web`, `chat` or `other`.
pub fn way(kind: Kind, channel: Channel, direction: Direction) -> &'static str {
    match (kind, channel, direction) {
        (Kind::Chat, _, _) | (_, Channel::Chat, _) => "chat",
        (_, Channel::Web, _) => "web",
        (_, _, Direction::Inbound) => "inbound",
        (_, _, Direction::Outbound) => "outbound",
        _ => "other",
    }
}

/// Name and version of the agent; its id where it has no name.
pub fn agent(facts: &CallFacts) -> String {
    let id = || facts.agent_id.as_deref().or(facts.owner_agent.as_deref()).map(format::short_id);
    let name = facts
        .agent_name
        .as_deref()
        .map(str::to_owned)
        .or_else(id)
        .unwrap_or_else(|| format::DASH.to_owned());
    facts
        .agent_version
        .map_or_else(|| name.clone(), |version| format!("{name} · v{version}"))
}

/// The stored word of a role.
pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Agent => "agent",
        Role::User => "user",
        Role::TransferTarget => "transfer_target",
        Role::ToolCall => "tool_call",
        Role::ToolResult => "tool_result",
        Role::Node => "node",
        Role::Dtmf => "dtmf",
        Role::Sms => "sms",
        Role::Injected => "injected",
        Role::Other => "other",
    }
}

fn state(facts: &CallFacts, ringing: bool) -> &'static str {
    match facts.state {
        CallState::Registered => "registered",
        CallState::Ended => "ended",
        CallState::Ongoing if ringing => "transfer",
        CallState::Ongoing => "ongoing",
    }
}

fn caller(facts: &CallFacts) -> String {
    let far = if facts.direction == Direction::Outbound {
        &facts.to_number
    } else {
        &facts.from_number
    };
    far.as_deref().map_or_else(|| format::DASH.to_owned(), format::masked)
}
