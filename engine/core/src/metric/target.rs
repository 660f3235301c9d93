//! Targets of a business: what a value should reach, read from its settings, with the catalogue's as default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::board::StateWord;
use super::definition::{Definition, Good, Target, Unit};
use super::name::Metric;
use super::rules::Rules;

/// Targets set by a business. A metric that is not named has the catalogue's default; `null` switches its target off.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Targets {
    set: BTreeMap<Metric, Option<Target>>,
}

/// Why settings are not targets.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadTarget {
    /// Not the form `{"metric": {"target": 0.95, "watch": 0.9}}`.
    #[error("read targets: {0}")]
    Form(String),
    /// Not a finite number.
    #[error("target of {0} is not a usable number")]
    NotANumber(Metric),
    /// The watch limit is on the better side of the target.
    #[error("watch limit of {0} must not be better than its target")]
    WatchBeyondTarget(Metric),
}

impl Targets {
    /// Reads `{"service_level_ai": {"target": 0.95, "watch": 0.9}, "containment": null}`; JSON `null` is no settings.
    pub fn read(settings: &serde_json::Value) -> Result<Targets, BadTarget> {
        if settings.is_null() {
            return Ok(Targets::default());
        }
        let targets = Targets::deserialize(settings).map_err(|error| BadTarget::Form(error.to_string()))?;
        for (metric, target) in &targets.set {
            let Some(target) = target else { continue };
            let watch = target.watch.unwrap_or(target.target);
            if !target.target.is_finite() || !watch.is_finite() {
                return Err(BadTarget::NotANumber(*metric));
            }
            let better = match metric.definition().good {
                Good::Up => watch > target.target,
                Good::Down | Good::Neither => watch < target.target,
            };
            if better {
                return Err(BadTarget::WatchBeyondTarget(*metric));
            }
        }
        Ok(targets)
    }

    /// Sets one target; `None` switches it off.
    pub fn set(&mut self, metric: Metric, target: Option<Target>) {
        self.set.insert(metric, target);
    }

    /// The target that holds for `metric`.
    pub fn of(&self, metric: Metric) -> Option<Target> {
        self.set.get(&metric).copied().unwrap_or(metric.definition().target)
    }
}

/// How a value stands against its target.
pub(super) fn state(good: Good, value: Option<f64>, target: Option<Target>) -> StateWord {
    let Some(value) = value else { return StateWord::NoData };
    let Some(Target { target, watch }) = target else {
        return StateWord::Plain;
    };
    let reaches = |limit: f64| match good {
        Good::Up => value >= limit,
        Good::Down | Good::Neither => value <= limit,
    };
    if reaches(target) {
        StateWord::Ok
    } else if watch.is_some_and(reaches) {
        StateWord::Watch
    } else {
        StateWord::Breach
    }
}

/// A target in words: `≥ 95 % in 3 s`, `≤ 3:00`, `≤ 1.4 s`.
pub(super) fn words(definition: &Definition, target: Target, rules: &Rules) -> String {
    let sign = if definition.good == Good::Up { '≥' } else { '≤' };
    let within = match definition.metric {
        Metric::ServiceLevelAi => format!(" in {}", span(rules.ai_within_ms as f64)),
        Metric::ServiceLevelHuman => format!(" in {}", span(rules.human_within_ms as f64)),
        _ => String::new(),
    };
    let value = match definition.unit {
        Unit::Share => format!("{} %", short(target.target * 100.0)),
        Unit::Ms => span(target.target),
        Unit::Cents => format!("$ {:.2}", target.target / 100.0),
        Unit::CentsPerMinute => format!("$ {:.3}", target.target / 100.0),
        Unit::Calls | Unit::Chats | Unit::Transfers | Unit::CallsPerHour => short(target.target),
    };
    format!("{sign} {value}{within}")
}

/// Minutes and seconds from a minute on, else seconds with at most two decimals.
fn span(ms: f64) -> String {
    if ms >= 60_000.0 {
        let seconds = (ms / 1_000.0).round() as i64;
        return format!("{}:{:02}", seconds / 60, seconds % 60);
    }
    format!("{} s", short(ms / 1_000.0))
}

/// At most two decimals, none without need.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
