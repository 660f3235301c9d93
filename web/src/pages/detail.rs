//! What is known of a call beside its conversation: facts in words, response times, cost, transfers, events.

use std::sync::Arc;

use serde::Serialize;
use trunkline_core::facts::{CallFacts, CallState, EventNote, Stage};
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;

use crate::l10n::Texts;
use crate::pages::format::{self, DASH};
use crate::pages::row::{self, LiveRow};
use crate::pages::shell::Shell;

/// Longest value of a field that is shown.
const VALUE_CHARS: usize = 500;

/// A name with its value.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Where scripts write it.
    pub id: &'static str,
    /// Mark before it.
    pub state: &'static str,
}

/// An id that can be copied.
pub struct Id {
    /// What it is the id of.
    pub name: String,
    /// In full.
    pub value: String,
    /// Both ends.
    pub short: String,
}

/// Response times of a stage.
pub struct Latency {
    /// Stage.
    pub name: String,
    /// The same in words.
    pub words: String,
    /// Median as width.
    pub p50: String,
    /// 95th percentile as place.
    pub p95: String,
    /// Median.
    pub value: String,
}

/// A part of the cost.
pub struct Part {
    /// Product.
    pub name: String,
    /// Share as width.
    pub width: String,
    /// Money.
    pub value: String,
}

/// A received event.
pub struct Event {
    /// For `datetime`.
    pub machine: String,
    /// Time.
    pub at: String,
    /// Name.
    pub name: String,
    /// Repeats, revisions.
    pub note: String,
}

pub(super) fn glance(facts: &CallFacts, running: Option<&LiveRow>, now: Millis, s: &Shell) -> Vec<Field> {
    let l = s.l;
    let mut fields = Vec::new();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.push(Field {
                name: l.t(key),
                value,
                ..Field::default()
            });
        }
    };
    let full = |at: Option<Millis>| at.map(|at| format::full(at, &s.zone));
    let yes_no = |yes: Option<bool>| yes.map(|yes| l.t(if yes { "yes" } else { "no" }));
    add(
        "direction",
        Some(l.t(&format!("way-{}", row::way(facts.key.kind, facts.channel, facts.direction)))),
    );
    add("started", full(facts.started_at.or(Some(facts.first_received_at))));
    add("ended", full(facts.ended_at.filter(|_| facts.state == CallState::Ended)));
    add(
        "reached",
        facts
            .speech
            .first_agent_word_ms
            .filter(|ms| *ms >= 0)
            .map(|ms| l.t1("speech-after", "seconds", format::decimal(ms as f64 / 1000.0, 1))),
    );
    add("language", facts.language.as_deref().map(str::to_owned));
    add("reason", facts.reason.as_deref().map(str::to_owned));
    add(
        "sentiment",
        facts
            .analysis
            .sentiment_raw
            .as_deref()
            .map(|raw| l.or(&format!("sentiment-{}", raw.to_lowercase()), raw)),
    );
    add("success", yes_no(facts.analysis.successful));
    add("voicemail", yes_no(facts.analysis.in_voicemail));
    add(
        "interruptions",
        (facts.speech.interruptions > 0).then(|| format::count(facts.speech.interruptions.into())),
    );
    if running.is_none() {
        add("cost", facts.cost.as_ref().and_then(|cost| cost_words(cost, l)));
    }
    let mut signals = Vec::new();
    if facts.tool_failures > 0 {
        signals.push(l.t1("flag-tool", "n", facts.tool_failures));
    }
    if facts.presumed_ended {
        signals.push(l.t("presumed-note"));
    } else if facts.end_inferred {
        signals.push(l.t("inferred-note"));
    }
    if let Some(row) = running {
        fields.extend(moving(row, now, l));
    } else {
        add("signals", Some(signals.join(", ")));
    }
    fields
}

/// What changes by time while a call runs; `call.js` goes on writing it.
fn moving(row: &LiveRow, now: Millis, l: &Texts) -> [Field; 2] {
    let field = |key: &str, id, value: Option<String>| Field {
        name: l.t(key),
        value: value.unwrap_or_else(|| DASH.to_owned()),
        id,
        state: "",
    };
    [
        field(
            "cost-so-far",
            "cost",
            row.cost(now).map(|cents| l.t1("about", "value", format::money(cents))),
        ),
        field("signals", "signals", row.flag(now).map(|(_, key, n)| l.t1(key, "n", n))),
    ]
}

fn cost_words(cost: &trunkline_core::facts::Cost, l: &Texts) -> Option<String> {
    let cents = cost.combined_cents?;
    let minute = cost
        .total_seconds
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| cents / seconds * 60.0);
    let each = minute
        .map(|cents| format!(" · {}", l.t1("cost-per-minute", "value", format::money_fine(cents))))
        .unwrap_or_default();
    Some(format!("{}{each}", format::money(cents)))
}

pub(super) fn ids(facts: &CallFacts, l: &Texts) -> Vec<Id> {
    let own = (
        if facts.key.kind == Kind::Chat { "id-chat" } else { "id-call" },
        Some(facts.key.id.as_ref()),
    );
    let all = [own, ("id-agent", facts.agent_id.as_deref())];
    all.into_iter()
        .filter_map(|(key, id)| {
            id.map(|id| Id {
                name: l.t(key),
                value: id.to_owned(),
                short: format::short_id(id),
            })
        })
        .collect()
}

/// Response times by stage as Retell measured them; while it has not, the gaps between the caller's and the agent's words.
pub(super) fn latency(facts: &CallFacts, estimate: Vec<f64>, l: &Texts) -> Vec<Latency> {
    let estimate: Arc<[f64]> = estimate.into();
    let estimated = [(Stage::E2e, estimate)];
    let samples: &[(Stage, Arc<[f64]>)] = if facts.latency.is_empty() { &estimated } else { &facts.latency };
    let figures = |values: &[f64]| {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite() && *value >= 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            sorted
                .get(((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1))
                .copied()
        };
        Some((at(0.5)?, at(0.95)?))
    };
    let stages: Vec<(Stage, f64, f64)> = samples
        .iter()
        .filter_map(|(stage, values)| figures(values).map(|(p50, p95)| (*stage, p50, p95)))
        .collect();
    let most = stages.iter().map(|(_, _, p95)| *p95).fold(1.0, f64::max) * 1.08;
    let line = |(stage, p50, p95): (Stage, f64, f64)| {
        let name = l.t(&format!("stage-{}", stage.as_str()));
        let words = format!("{name}: p50 {}, p95 {}", format::latency(p50), format::latency(p95));
        Latency {
            words,
            name,
            p50: format!("{:.1}", p50 / most * 100.0),
            p95: format!("{:.1}", p95 / most * 100.0),
            value: format::latency(p50),
        }
    };
    stages.into_iter().map(line).collect()
}

pub(super) fn costs(facts: &CallFacts) -> Vec<Part> {
    let Some(cost) = &facts.cost else { return Vec::new() };
    let most = cost.parts.iter().map(|(_, cents)| *cents).fold(f64::EPSILON, f64::max);
    let part = |(product, cents): &(Arc<str>, f64)| Part {
        name: product.replace('_', " "),
        width: format!("{:.1}", (cents / most * 100.0).clamp(0.8, 100.0)),
        value: format::money_fine(*cents),
    };
    cost.parts.iter().map(part).collect()
}

pub(super) fn transfer_fields(transfer: &trunkline_core::facts::Transfer, l: &Texts) -> Vec<Field> {
    let outcome = match (transfer.bridged_at, transfer.cancelled_at, transfer.ended_at) {
        (Some(_), ..) => "transfer-bridged",
        (_, Some(_), _) => "transfer-cancelled",
        (_, _, Some(_)) if transfer.bridged_inferred => "transfer-bridged",
        (_, _, Some(_)) => "transfer-ended",
        _ => "transfer-ringing",
    };
    let to = if transfer.destination.is_empty() {
        DASH.to_owned()
    } else {
        transfer.destination.to_string()
    };
    let field = |key: &str, value: String| Field {
        name: l.t(key),
        value,
        ..Field::default()
    };
    let waited = transfer.waited_ms.map_or_else(|| DASH.to_owned(), format::duration);
    vec![
        field("transfer-to", to),
        field("transfer-outcome", l.t(outcome)),
        field("transfer-waited", waited),
    ]
}

/// Received events that follow each other and are the same, as one line. Also what the stream of a call sends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run<'a> {
    /// Event name as it came.
    event: &'a str,
    /// When the door took the first of them.
    at: Millis,
    /// How many.
    n: usize,
    /// Further receipts with the same content.
    repeats: u32,
    /// Came again with other content.
    revision: bool,
    /// Not a documented name.
    unknown: bool,
}

/// The events of a call in lines.
pub fn runs(notes: &[EventNote]) -> Vec<Run<'_>> {
    let plain = |note: &EventNote| !note.revision && !note.unknown;
    let same = |a: &EventNote, b: &EventNote| a.event == b.event && plain(a) && plain(b);
    let lines = notes.chunk_by(same).map(|notes| {
        let first = &notes[0];
        Run {
            event: &first.event,
            at: first.received_at,
            n: notes.len(),
            repeats: notes.iter().map(|note| note.repeats).sum(),
            revision: first.revision,
            unknown: first.unknown,
        }
    });
    lines.collect()
}

/// The same in words.
pub(super) fn events(notes: &[EventNote], s: &Shell) -> Vec<Event> {
    runs(notes).iter().map(|run| event(run, s)).collect()
}

fn event(run: &Run<'_>, s: &Shell) -> Event {
    let l = s.l;
    let mut words = Vec::new();
    if run.n > 1 {
        words.push(l.t1("event-run", "n", run.n));
    }
    if run.repeats > 0 {
        words.push(l.t1("event-repeats", "n", run.repeats));
    }
    if run.revision {
        words.push(l.t("event-revision"));
    }
    if run.unknown {
        words.push(l.t("event-unknown"));
    }
    Event {
        machine: format::machine(run.at),
        at: format::clock(run.at, &s.zone),
        name: run.event.to_owned(),
        note: words.join(", "),
    }
}

/// A value as it came; a JSON text without its quotes.
pub(super) fn plain(name: &str, value: &str) -> Field {
    let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
    let value = if text.chars().count() > VALUE_CHARS {
        text.chars().take(VALUE_CHARS).chain(['…']).collect()
    } else {
        text
    };
    Field {
        name: name.to_owned(),
        value,
        ..Field::default()
    }
}
