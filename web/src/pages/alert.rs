//! What needs a person: figures off target first, then calls that are odd, worst first.

use std::collections::BTreeMap;

use trunkline_core::metric::{Board, StateWord};

use crate::l10n::Texts;
use crate::pages::format;
use crate::pages::row::{self, LiveRow};
use crate::pages::tile::{behind, metric_name, shown};
use crate::pages::wall::Asked;

/// Alerts of one rule shown at once: one noisy rule must not push the others off the card. The rest is told as one line.
const OF_ONE_RULE: usize = 2;

/// Lines shown at once: beyond that nobody reads them one by one.
const LINES: usize = 8;

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

/// What stands on the card.
pub struct Alerts {
    /// How many there are, shown or not.
    pub open: usize,
    /// The worst of them.
    pub lines: Vec<Alert>,
}

/// The alerts of a board and its calls. `alerts.js` makes the later ones by the same rules.
pub fn of(board: &Board, calls: &[LiveRow], asked: &Asked, l: &Texts) -> Alerts {
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
                href: behind(tile.metric, asked, board.from),
            },
        ));
    }
    let mut rules: BTreeMap<&'static str, Vec<(u8, Alert)>> = BTreeMap::new();
    for call in calls {
        let Some((state, key, n)) = call.flag(board.as_of) else { continue };
        let rank = if state == "breach" { 1 } else { 2 };
        let alert = Alert {
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
        };
        rules.entry(key).or_default().push((rank, alert));
    }
    let mut open = alerts.len();
    for (key, mut of_rule) in rules {
        open += of_rule.len();
        of_rule.sort_by_key(|(rank, _)| *rank);
        let rest = of_rule.split_off(of_rule.len().min(OF_ONE_RULE));
        alerts.extend(of_rule);
        if let Some((rank, first)) = rest.first() {
            alerts.push((*rank, more(key, rest.len(), first.state, asked, l)));
        }
    }
    alerts.sort_by_key(|(rank, _)| *rank);
    Alerts {
        open,
        lines: alerts.into_iter().take(LINES).map(|(_, alert)| alert).collect(),
    }
}

/// One line for the alerts of a rule that are not shown, with the way to all of them.
fn more(key: &str, count: usize, state: &'static str, asked: &Asked, l: &Texts) -> Alert {
    let signal = key.strip_prefix("flag-").unwrap_or(key);
    Alert {
        key: format!("more:{signal}"),
        state,
        title: l.t2(
            "alert-more",
            ("n", format::count(count as u64)),
            ("name", l.t(&format!("signal-{signal}"))),
        ),
        words: String::new(),
        when: String::new(),
        href: asked.link("/live", &[("signal", signal)]),
    }
}
