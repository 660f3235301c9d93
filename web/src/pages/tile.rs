//! A metric as a tile: value, unit, state, target, base, trend, and the calls behind it.

use trunkline_core::instant::Millis;
use trunkline_core::metric::{Base, Metric, StateWord, Tile, Unit};

use crate::l10n::Texts;
use crate::pages::format::{self, DASH};
use crate::pages::spark::{Spark, spark};
use crate::pages::wall::Asked;

/// A tile in words.
#[derive(Debug, Clone)]
pub struct ShownTile {
    /// Metric.
    pub id: &'static str,
    /// The calls behind it.
    pub href: String,
    /// Name.
    pub name: String,
    /// How it is computed.
    pub formula: String,
    /// Number.
    pub number: String,
    /// Unit.
    pub unit: String,
    /// `ok`, `watch`, `breach`, `none`.
    pub state: &'static str,
    /// State in a word.
    pub word: String,
    /// Target in words.
    pub target: String,
    /// Numerator and denominator, or n.
    pub base: String,
    /// Trend.
    pub spark: Spark,
}

impl ShownTile {
    /// No value: a dash stands there.
    pub fn empty(&self) -> bool {
        self.number == DASH
    }
}

/// Metrics in ms that people read as minutes and seconds, however short; `format.js` names the same ones.
const SPANS: [Metric; 4] = [Metric::AhtAi, Metric::AhtCall, Metric::LongestWait, Metric::TimeAtLimit];

/// The value of a tile and its unit.
pub fn shown(tile: &Tile) -> (String, String) {
    match tile.value {
        Some(ms) if SPANS.contains(&tile.metric) => (format::duration(ms as i64), String::new()),
        other => value(other, tile.unit),
    }
}

/// Value and unit as the eye wants them: the unit is set smaller.
pub fn value(value: Option<f64>, unit: Unit) -> (String, String) {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return (DASH.to_owned(), String::new());
    };
    match unit {
        Unit::Share => (format::decimal(value * 100.0, 1), "%".to_owned()),
        Unit::Ms if value >= 60_000.0 => (format::duration(value as i64), String::new()),
        Unit::Ms => (format::decimal(value / 1000.0, 2), "s".to_owned()),
        Unit::Cents => (format::money(value), String::new()),
        Unit::CentsPerMinute => (format::money_fine(value), "/ min".to_owned()),
        Unit::CallsPerHour => (format::decimal(value, 0), "/ h".to_owned()),
        Unit::Calls | Unit::Chats | Unit::Transfers => (format::count(value.max(0.0).round() as u64), String::new()),
    }
}

pub(super) fn tile(tile: &Tile, asked: &Asked, from: Millis, l: &Texts) -> ShownTile {
    let id = tile.metric.id();
    let (number, unit) = shown(tile);
    let state = state_word(tile.state);
    let word = if tile.provisional && tile.value.is_some() {
        l.t("provisional")
    } else {
        l.t(&format!("state-{state}"))
    };
    ShownTile {
        id,
        href: behind(tile.metric, asked, from),
        name: metric_name(tile.metric, l),
        formula: tile.metric.definition().formula.to_owned(),
        number,
        unit,
        state,
        word,
        target: tile
            .target_words
            .as_deref()
            .map(|words| l.t1("target", "words", words))
            .unwrap_or_default(),
        base: base(tile, l),
        spark: spark(&tile.trend, tile.target.map(|target| target.target)),
    }
}

fn base(tile: &Tile, l: &Texts) -> String {
    let whole = |value: f64| format::count(value.max(0.0).round() as u64);
    match (tile.numerator, tile.denominator) {
        (_, None) => String::new(),
        (Some(num), Some(den)) if tile.unit == Unit::Share => format!("{} / {}", whole(num), whole(den)),
        (_, Some(den)) => l.t1("n-equals", "n", whole(den)),
    }
}

/// `ok`, `watch`, `breach`, `none`, `plain`.
pub fn state_word(state: StateWord) -> &'static str {
    match state {
        StateWord::Ok => "ok",
        StateWord::Watch => "watch",
        StateWord::Breach => "breach",
        StateWord::NoData => "none",
        StateWord::Plain => "plain",
    }
}

/// A metric's name in the reader's language.
pub fn metric_name(metric: Metric, l: &Texts) -> String {
    l.or(&format!("metric-{}", metric.id().replace('_', "-")), metric.definition().name)
}

/// Where the calls behind a metric since `from` are: exactly those that it counts. What is true now leads to the calls in progress.
pub fn behind(metric: Metric, asked: &Asked, from: Millis) -> String {
    match metric.definition().base {
        Base::Instant | Base::InState => asked.link("/live", &[]),
        Base::Arrival | Base::Completion => asked.link("/calls", &[("since", &format::machine(from)), ("behind", metric.id())]),
    }
}
