//! One line of the table of partitions: how far it is, how old its checkpoint is, how it came to life.

use trunkline_actors::facts::FactsState;
use trunkline_actors::{Checkpointed, PartitionState, Rebuild};
use trunkline_core::instant::Millis;

use crate::l10n::Texts;
use crate::pages::format::{self, DASH};
use crate::pages::shell::Shell;

/// Heads of the columns.
pub(super) const HEADS: [&str; 9] = [
    "part-number",
    "part-state",
    "part-next",
    "part-applied",
    "part-calls",
    "part-residue",
    "part-behind",
    "part-checkpoint",
    "part-rebuild",
];

/// The cells below [`HEADS`].
pub(super) fn line(p: &PartitionState, facts: &FactsState, now: Millis, s: &Shell) -> Vec<String> {
    let state = match (p.current, p.rebuilt) {
        (true, _) => "part-current",
        (false, true) => "part-catching",
        (false, false) => "part-rebuilding",
    };
    let dash = || DASH.to_owned();
    let written = facts
        .partitions
        .get(&p.partition)
        .map(|at| format::count((at.end - at.next).max(0) as u64));
    vec![
        p.partition.to_string(),
        s.l.t(state),
        p.next.to_string(),
        p.applied_to.map_or_else(dash, |at| format::clock(at, &s.zone)),
        format::count(p.calls as u64),
        format::count(p.residue as u64),
        written.unwrap_or_else(dash),
        p.checkpoint.map_or_else(dash, |checkpoint| checkpoint_words(&checkpoint, now, s.l)),
        p.rebuild.map_or_else(dash, |rebuild| rebuild_words(&rebuild, s.l)),
    ]
}

/// How old the newest checkpoint is, and how much was written for it.
fn checkpoint_words(checkpoint: &Checkpointed, now: Millis, l: &Texts) -> String {
    let age = format::age(now.since(checkpoint.at).max(0));
    let kilobytes = format::decimal(checkpoint.bytes as f64 / 1e3, 1);
    l.t2("part-checkpoint-words", ("age", age), ("size", kilobytes))
}

/// How long the last start took, what from, and how many events came after that.
fn rebuild_words(rebuild: &Rebuild, l: &Texts) -> String {
    let key = if rebuild.from_checkpoint {
        "part-rebuild-checkpoint"
    } else {
        "part-rebuild-log"
    };
    let seconds = format::decimal(rebuild.took_ms as f64 / 1000.0, 1);
    l.t2(
        key,
        ("seconds", seconds),
        ("n", format::count(rebuild.replayed.max(0).unsigned_abs())),
    )
}
