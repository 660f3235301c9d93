//! What needs a person: figures off target first, then calls that are odd, worst first.

use trunkline_core::metric::{Board, StateWord};

use crate::l10n::Texts;
use crate::pages::format;
use crate::pages::row::{self, LiveRow};
use crate::pages::tile::{metric_name, shown};
use crate::pages::wall::Asked;

/// Alerts shown at once: beyond that nobody reads them one by one.
const ALERTS: usize = 6;

/// One thing that needs a person.
#[derive(Debug, Clone, Default)]
pub struct Alert {
    /// Key of updates.
    pub key: String,
    /// `breach` or `watch`.
    pub state: &'static str,
    /// Title.
    pub title: String,
    /// What is known.
    pub words: String,
    /// Since when.
    pub when: String,
    /// Where to go.
    pub href: String,
}

/// The alerts of a board and its calls. `alerts.js` makes the later ones by the same rules.
pub fn of(board: &Board, calls: &[LiveRow], asked: &Asked, l: &Texts) -> Vec<Alert> {
    let mut alerts: Vec<(u8, Alert)> = Vec::new();
    for tile in &board.tiles {
        let (rank, state) = match tile.state {
            StateWord::Breach => (0, "breach"),
            StateWord::Watch => (3, "watch"),
            _ => continue,
        };
        if tile.provisional {
            continue;
        }
        let (number, unit) = shown(tile);
        let words = tile.target_words.as_deref().unwrap_or_default();
        alerts.push((
            rank,
            Alert {
                key: format!("metric:{}", tile.metric.id()),
                state,
                title: l.t1(
                    if state == "breach" { "alert-off" } else { "alert-near" },
                    "name",
                    metric_name(tile.metric, l),
                ),
                words: l.t2(
                    "alert-figure",
                    ("value", format!("{number} {unit}").trim().to_owned()),
                    ("words", words),
                ),
                when: l.t("today"),
                href: asked.link("/calls", &[("range", "today")]),
            },
        ));
    }
    for call in calls {
        let Some((state, key, n)) = call.flag(board.as_of) else { continue };
        alerts.push((
            if state == "breach" { 1 } else { 2 },
            Alert {
                key: format!("call:{}:{}", call.kind.as_str(), call.id),
                state,
                title: l.t1(key, "n", n),
                words: l.t2(
                    "alert-call",
                    ("name", call.agent.as_str()),
                    ("time", format::duration(board.as_of.0 - call.since)),
                ),
                when: l.t("now-word"),
                href: row::href(call.kind, &call.id),
            },
        ));
    }
    alerts.sort_by_key(|(rank, _)| *rank);
    alerts.into_iter().take(ALERTS).map(|(_, alert)| alert).collect()
}
