//! What a metric is: time base, formula in words, unit, null rule, direction of good, default target.

use serde::{Deserialize, Serialize};

use super::name::Metric;
use crate::facts::Stage;

/// Which interval a call's share of a metric belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The interval in which the call began.
    Arrival,
    /// The interval in which the call ended; running calls do not count.
    Completion,
    /// Now: no interval.
    Instant,
    /// All intervals that the call overlaps.
    InState,
}

/// How numerator and denominator become a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How many: the numerator.
    Count,
    /// How much: the numerator; no value when nothing had one.
    Sum,
    /// Numerator of denominator, 0 to 1.
    Ratio,
    /// Numerator by denominator.
    Mean,
    /// From samples, see [`Definition::sampled`]; the stored pair is the samples' sum and number.
    Percentile,
    /// Calls that are so right now.
    Gauge,
    /// The largest; made on the board, not summed.
    Max,
}

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Calls,
    /// Chats.
    Chats,
    /// Transfers.
    Transfers,
    /// Calls in an hour.
    CallsPerHour,
    /// A share from 0 to 1, shown in per cent.
    Share,
    /// Milliseconds.
    Ms,
    /// Cents of a US dollar.
    Cents,
    /// Cents for a billed minute.
    CentsPerMinute,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Good {
    /// More is better.
    Up,
    /// Less is better.
    Down,
    /// Neither.
    Neither,
}

/// What samples are taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Sampled {
    /// Caller stops to agent starts, of turns.
    E2e,
    /// Speech to text, of turns.
    Asr,
    /// Language model, of turns.
    Llm,
    /// Text to speech, of turns.
    Tts,
    /// Knowledge base, of turns.
    KnowledgeBase,
    /// Speech to speech, of turns.
    S2s,
    /// Network round trip to the customer's own model server, of turns.
    LlmWebsocketNetworkRtt,
    /// AI handle time, of calls.
    HandleTime,
    /// Receipt of the end event after the end, of calls.
    IntakeLag,
    /// Receipt of the analysis after the end event, of calls.
    AnalysisDelay,
}

impl Sampled {
    /// All of them, by index.
    pub const ALL: [Sampled; 10] = [
        Sampled::E2e,
        Sampled::Asr,
        Sampled::Llm,
        Sampled::Tts,
        Sampled::KnowledgeBase,
        Sampled::S2s,
        Sampled::LlmWebsocketNetworkRtt,
        Sampled::HandleTime,
        Sampled::IntakeLag,
        Sampled::AnalysisDelay,
    ];

    /// The samples of a pipeline stage and the metric that sums them.
    pub const fn of_stage(stage: Stage) -> (Sampled, Metric) {
        match stage {
            Stage::E2e => (Sampled::E2e, Metric::LatencyE2e),
            Stage::Asr => (Sampled::Asr, Metric::LatencyAsr),
            Stage::Llm => (Sampled::Llm, Metric::LatencyLlm),
            Stage::Tts => (Sampled::Tts, Metric::LatencyTts),
            Stage::KnowledgeBase => (Sampled::KnowledgeBase, Metric::LatencyKnowledgeBase),
            Stage::S2s => (Sampled::S2s, Metric::LatencyS2s),
            Stage::LlmWebsocketNetworkRtt => (Sampled::LlmWebsocketNetworkRtt, Metric::LatencyLlmWebsocketNetworkRtt),
        }
    }
}

/// What a value should reach, and where it stops being merely watched. In the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// At or better than this: on target.
    pub target: f64,
    /// Between target and this: watch. Beyond: off target. Missing: there is no watch band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<f64>,
}

/// One metric of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Definition {
    /// Its name in the API.
    pub metric: Metric,
    /// Its name on a tile, in English.
    pub name: &'static str,
    /// Which interval it counts in.
    pub base: Base,
    /// How the value comes about.
    pub kind: Kind,
    /// What the value is measured in.
    pub unit: Unit,
    /// Which way is better.
    pub good: Good,
    /// What is counted, in words.
    pub formula: &'static str,
    /// When there is no value.
    pub null_rule: &'static str,
    /// How it is estimated, where it cannot be measured exactly.
    pub estimator: Option<&'static str>,
    /// Whose samples give its percentiles (of a mean: its median).
    pub sampled: Option<Sampled>,
    /// Target when the business has set none.
    pub target: Option<Target>,
    /// True if the value is preliminary until the analysis of nearly all calls is in.
    pub needs_analysis: bool,
    /// True for metrics that stand on the wallboard as a tile.
    pub tile: bool,
    /// Stored units in one shown unit, of the numerator.
    pub scale: i64,
    /// Stored units in one shown unit, of the denominator.
    pub den_scale: i64,
}

impl Definition {
    /// The shown value of stored sums; `None` when it cannot be computed.
    pub fn value(&self, num: i128, den: i128) -> Option<f64> {
        match self.kind {
            Kind::Count | Kind::Gauge => Some(num as f64 / self.scale as f64),
            Kind::Sum => (den != 0).then(|| num as f64 / self.scale as f64),
            Kind::Ratio | Kind::Mean | Kind::Percentile => {
                (den != 0).then(|| (num as f64 / self.scale as f64) / (den as f64 / self.den_scale as f64))
            }
            Kind::Max => None,
        }
    }

    const fn new(metric: Metric, name: &'static str, base: Base, kind: Kind, unit: Unit) -> Self {
        let null_rule = match kind {
            Kind::Count | Kind::Gauge => "always a number; nothing counted is 0",
            Kind::Sum => "no value while no call has the figure",
            Kind::Ratio | Kind::Mean => "no value while the denominator is 0",
            Kind::Percentile => "no value without samples",
            Kind::Max => "no value while nothing qualifies",
        };
        let scale = match unit {
            Unit::Cents | Unit::CentsPerMinute => MICRO,
            _ => 1,
        };
        Self {
            metric,
            name,
            base,
            kind,
            unit,
            good: Good::Neither,
            formula: "",
            null_rule,
            estimator: None,
            sampled: None,
            target: None,
            needs_analysis: false,
            tile: false,
            scale,
            den_scale: 1,
        }
    }

    pub(super) const fn gauge(metric: Metric, name: &'static str, unit: Unit) -> Self {
        Self::new(metric, name, Base::Instant, Kind::Gauge, unit)
    }

    pub(super) const fn count(metric: Metric, name: &'static str, base: Base, unit: Unit) -> Self {
        Self::new(metric, name, base, Kind::Count, unit)
    }

    pub(super) const fn sum(metric: Metric, name: &'static str, base: Base, unit: Unit) -> Self {
        Self::new(metric, name, base, Kind::Sum, unit)
    }

    pub(super) const fn ratio(metric: Metric, name: &'static str, base: Base) -> Self {
        Self::new(metric, name, base, Kind::Ratio, Unit::Share)
    }

    pub(super) const fn mean(metric: Metric, name: &'static str, base: Base, unit: Unit) -> Self {
        Self::new(metric, name, base, Kind::Mean, unit)
    }

    pub(super) const fn max(metric: Metric, name: &'static str, base: Base, unit: Unit) -> Self {
        Self::new(metric, name, base, Kind::Max, unit)
    }

    /// Percentiles of milliseconds; the sum is stored in microseconds.
    pub(super) const fn percentile(metric: Metric, name: &'static str, of: Sampled) -> Self {
        let mut definition = Self::new(metric, name, Base::Completion, Kind::Percentile, Unit::Ms);
        definition.sampled = Some(of);
        definition.scale = MICROS_PER_MS;
        definition
    }

    pub(super) const fn formula(mut self, words: &'static str) -> Self {
        self.formula = words;
        self
    }

    pub(super) const fn up(mut self) -> Self {
        self.good = Good::Up;
        self
    }

    pub(super) const fn down(mut self) -> Self {
        self.good = Good::Down;
        self
    }

    pub(super) const fn target(mut self, target: f64, watch: f64) -> Self {
        self.target = Some(Target {
            target,
            watch: Some(watch),
        });
        self
    }

    pub(super) const fn estimated(mut self, words: &'static str) -> Self {
        self.estimator = Some(words);
        self
    }

    pub(super) const fn median_of(mut self, of: Sampled) -> Self {
        self.sampled = Some(of);
        self
    }

    pub(super) const fn after_analysis(mut self) -> Self {
        self.needs_analysis = true;
        self
    }

    pub(super) const fn on_wall(mut self) -> Self {
        self.tile = true;
        self
    }

    pub(super) const fn per(mut self, stored_units: i64) -> Self {
        self.den_scale = stored_units;
        self
    }
}

/// Money is stored in millionths of a cent: finer than any price, and whole numbers add and subtract exactly.
pub(super) const MICRO: i64 = 1_000_000;

/// Samples are summed in microseconds, because Retell gives fractions of a millisecond.
pub(super) const MICROS_PER_MS: i64 = 1_000;
