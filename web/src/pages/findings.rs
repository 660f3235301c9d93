//! The list of what was found and what was done about it, as the pages of the reconciler and the auditor show it.

use trunkline_core::instant::Millis;
use uuid::Uuid;

use crate::pages::format;
use crate::pages::shell::Shell;

/// Findings of one page; one more is asked for, to know whether there are older ones.
pub(super) const SHOWN: u32 = 100;

/// One way to narrow the list down.
pub(super) struct Choice {
    pub name: String,
    pub href: String,
    pub selected: bool,
}

/// One finding.
pub(super) struct Line {
    pub machine: String,
    pub found: String,
    /// Where, with its own page if it has one.
    pub place: String,
    pub href: Option<String>,
    /// More of where.
    pub detail: String,
    pub what: String,
    pub mark: &'static str,
    pub state: String,
    pub done: String,
}

impl Line {
    /// A finding of a moment that is settled or not; the rest is to be filled in.
    pub fn at(found_at: Millis, settled: bool, s: &Shell) -> Line {
        let (mark, state) = match settled {
            true => ("ok", s.l.t("find-healed")),
            false => ("watch", s.l.t("find-open")),
        };
        Line {
            machine: format::machine(found_at),
            found: format::full(found_at, &s.zone),
            place: String::new(),
            href: None,
            detail: String::new(),
            what: String::new(),
            mark,
            state,
            done: String::new(),
        }
    }
}

/// The list: newest first, page by page.
pub(super) struct Findings {
    pub title: String,
    pub none: String,
    /// Heads of the columns of [`Line::place`] and [`Line::detail`].
    pub heads: [String; 2],
    pub choices: Vec<Choice>,
    pub lines: Vec<Line>,
    pub newest: Option<String>,
    pub older: Option<String>,
}

/// The address of a page of findings below `base`.
pub(super) fn link(base: &str, workspace: &str, open: bool, before: Option<Uuid>) -> String {
    let mut parts = Vec::new();
    if !workspace.is_empty() {
        parts.push(format!("workspace={}", format::path_segment(workspace)));
    }
    if open {
        parts.push("open=true".to_owned());
    }
    parts.extend(before.map(|before| format!("before={before}")));
    match parts.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", parts.join("&")),
    }
}
