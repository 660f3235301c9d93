//! What a wallboard shows: the form that the live stream and `/v1/board` send. Made by [`super::board()`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::definition::{Good, Target, Unit};
use super::name::Metric;
use crate::instant::Millis;

/// The span that tiles, reasons, agents and latency look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Since the daily reset of the business.
    #[default]
    Day,
    /// The last minutes, in whole five-minute intervals.
    Minutes(u32),
}

/// One board at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// When it was made.
    pub as_of: Millis,
    /// Daily reset that holds.
    pub day_start: Millis,
    /// What the figures look at.
    pub window: Window,
    /// Start of the window: the first interval of every trend begins here.
    pub from: Millis,
    /// Width of one interval of every trend.
    pub interval_ms: i64,
    /// All received events up to here are in; filled by the live group.
    pub complete_to: Option<Millis>,
    /// Known gaps before that; filled by the live group.
    pub gaps: u64,
    /// How far behind the newest event it is; filled by the live group.
    pub lag_ms: Option<i64>,
    /// What is going on right now.
    pub now: Now,
    /// Arrivals of the window.
    pub offered: Offered,
    /// Tiles in the order of the catalogue.
    pub tiles: Vec<Tile>,
    /// How calls ended, by class; only classes that occurred, most frequent first.
    pub ended: Vec<EndedClass>,
    /// How calls ended, by Retell's own word; most frequent first.
    pub reasons: Vec<CountedReason>,
    /// Agents, busiest first.
    pub agents: Vec<AgentRow>,
    /// How callers felt.
    pub sentiment: Mood,
    /// Response times by stage; only stages with samples.
    pub latency: Vec<LatencyRow>,
    /// Every metric of the catalogue without trend; empty unless asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
}

/// What is going on right now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Now {
    /// Connected voice calls.
    pub in_progress: u64,
    /// Those and the dialling ones, by state.
    pub by_state: OpenCalls,
    /// Connected voice calls by origin.
    pub by_direction: Direct,
    /// Chats that are open.
    pub chats: u64,
    /// Transfers without outcome.
    pub open_transfers: u64,
    /// Age of the oldest of them.
    pub longest_wait_ms: Option<i64>,
    /// Its start: clients count on from here.
    pub longest_wait_since: Option<Millis>,
    /// Load against the limit.
    pub concurrency: Concurrency,
}

/// Open voice calls by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct OpenCalls {
    /// Not connected yet; not among those in progress.
    pub dialling: u64,
    /// With the agent.
    pub talking: u64,
    /// A transfer rings.
    pub transferring: u64,
    /// With a person of ours; the agent's own leg may be over.
    pub with_person: u64,
}

/// Voice calls in progress by origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Direct {
    /// Phone, the customer rang.
    pub inbound: u64,
    /// Phone, we rang.
    pub outbound: u64,
    /// From a web page.
    pub web: u64,
    /// Neither is known.
    pub other: u64,
}

/// Calls in progress against the limit of the business.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Concurrency {
    /// Lines in use now.
    pub used: u64,
    /// Lines there are, if known.
    pub limit: Option<u32>,
    /// Used of limit.
    pub share: Option<f64>,
    /// Most at one moment of the window.
    pub peak: u64,
    /// When that was.
    pub peak_at: Option<Millis>,
    /// Time-weighted mean of the window.
    pub mean: Option<f64>,
    /// Time of the window at or above the limit.
    pub at_limit_ms: Option<i64>,
}

/// Arrivals of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Offered {
    /// All attempted voice calls.
    pub total: u64,
    /// Those that were connected.
    pub answered: u64,
    /// Answered of those whose outcome is known.
    pub answer_rate: Option<f64>,
    /// Kept out by our own account or limit.
    pub blocked: u64,
    /// Calls in an hour at the pace of the last quarter.
    pub pace_per_hour: Option<f64>,
    /// Offered by interval; the last one is still open.
    pub series: Vec<u64>,
    /// Answered by interval.
    pub answered_series: Vec<u64>,
    /// Cents spent in the window; `None` while no call has a cost.
    pub spend_cents: Option<f64>,
    /// Cents by interval.
    pub spend_series: Vec<Option<f64>>,
    /// Transfers started, and those bridged.
    pub transfers: u64,
    /// Transfers that reached a person.
    pub transfers_bridged: u64,
    /// Chats begun.
    pub chats: u64,
}

/// A tile's state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateWord {
    /// On target.
    Ok,
    /// Past the target, within the watch limit.
    Watch,
    /// Off target.
    Breach,
    /// Nothing to judge yet.
    NoData,
    /// There is a value and no target.
    Plain,
}

/// Percentiles of one distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Number of samples.
    pub samples: u64,
    /// The median.
    pub p50: f64,
    /// 90th.
    pub p90: f64,
    /// 95th.
    pub p95: f64,
    /// 99th.
    pub p99: f64,
}

/// One metric on the wall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tile {
    /// Which metric.
    pub metric: Metric,
    /// Its name in English.
    pub name: Cow<'static, str>,
    /// Value in `unit`; `None` if it cannot be computed.
    pub value: Option<f64>,
    /// Numerator in shown units; of percentiles missing.
    pub numerator: Option<f64>,
    /// Denominator in shown units; of percentiles the number of samples.
    pub denominator: Option<f64>,
    /// What the value is measured in.
    pub unit: Unit,
    /// Which way is better.
    pub good: Good,
    /// The target that holds.
    pub target: Option<Target>,
    /// The target in words, English: `≥ 95 % in 3 s`.
    pub target_words: Option<Cow<'static, str>>,
    /// How it stands.
    pub state: StateWord,
    /// By interval of the window; `None` where it cannot be computed.
    pub trend: Vec<Option<f64>>,
    /// How it is estimated, if it is.
    pub estimator: Option<Cow<'static, str>>,
    /// True while too few calls are analysed for the value to stand.
    pub provisional: bool,
    /// Of percentiles all four, of a mean its distribution.
    pub percentiles: Option<Percentiles>,
}

/// One metric without trend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Which metric.
    pub metric: Metric,
    /// Value in the metric's unit.
    pub value: Option<f64>,
    /// Numerator as stored, a whole number.
    pub num: i64,
    /// Denominator as stored, a whole number.
    pub den: i64,
}

/// Calls of one class of endings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedClass {
    /// The metric that counts it (`ended_normal`...).
    pub metric: Metric,
    /// Its name in English.
    pub name: Cow<'static, str>,
    /// Calls.
    pub count: u64,
    /// Of all calls that are over.
    pub share: f64,
}

/// Calls with one disconnection reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedReason {
    /// Retell's word.
    pub reason: String,
    /// Calls.
    pub count: u64,
}

/// One agent on the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Retell's id; `None` for calls without an agent.
    pub agent: Option<String>,
    /// Its name; filled by whoever knows the directory.
    pub name: Option<String>,
    /// Calls in progress.
    pub live: u64,
    /// Calls offered in the window.
    pub offered: u64,
    /// Calls with a handle time in the window.
    pub handled: u64,
    /// Success rate.
    pub success: Option<f64>,
    /// Mean handle time of the agent's leg.
    pub aht_ms: Option<f64>,
    /// What a minute of its calls cost in the window; what running calls have cost so far is estimated by it.
    #[serde(default)]
    pub cents_per_minute: Option<f64>,
}

/// How callers felt: calls by sentiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Mood {
    /// Positive.
    pub positive: u64,
    /// Neutral.
    pub neutral: u64,
    /// Negative.
    pub negative: u64,
    /// Retell does not know; not neutral.
    pub unknown: u64,
    /// A word outside Retell's list.
    pub other: u64,
}

/// Response times of one stage in ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyRow {
    /// The metric of the stage.
    pub metric: Metric,
    /// Retell's key of the stage.
    pub stage: Cow<'static, str>,
    /// The figures.
    #[serde(flatten)]
    pub percentiles: Percentiles,
}
