//! Figures of what was compared: log, facts and ledger with each other, and what was heard with Retell's own list.

use trunkline_actors::AuditSummary;
use trunkline_stores::postgres::reconciler::Summary;

use super::Figure;
use crate::pages::format::{self, DASH};
use crate::pages::shell::Shell;

/// Whether log, facts and ledger say the same.
pub(super) fn agrees(audited: &AuditSummary, s: &Shell) -> Figure {
    let (state, note) = if audited.open > 0 {
        ("breach", s.l.t1("fig-audit-open", "n", format::count(audited.open)))
    } else {
        let to = audited.to.map_or_else(|| DASH.to_owned(), |to| format::clock(to, &s.zone));
        ("ok", s.l.t1("fig-audit-note", "time", to))
    };
    Figure {
        name: s.l.t("fig-audit"),
        value: format::count(audited.repaired),
        state,
        note,
    }
}

/// What was filled in from Retell's own list of calls.
pub(super) fn healed(reconciled: &Summary, s: &Shell) -> Figure {
    let (state, note) = if reconciled.waiting > 0 {
        ("watch", s.l.t("fig-healed-waits"))
    } else if reconciled.open > 0 {
        ("watch", s.l.t1("fig-healed-open", "n", format::count(reconciled.open)))
    } else {
        let to = reconciled.to.map_or_else(|| DASH.to_owned(), |to| format::clock(to, &s.zone));
        ("ok", s.l.t1("fig-healed-note", "time", to))
    };
    Figure {
        name: s.l.t("fig-healed"),
        value: format::count(reconciled.healed),
        state,
        note,
    }
}
