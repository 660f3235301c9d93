//! The capacity card: lines in use against the limit, peak and average of the day, what was blocked.

use trunkline_core::metric::{Board, Metric};

use crate::pages::format::{self, DASH};
use crate::pages::shell::Shell;
use crate::pages::tile::behind;
use crate::pages::wall::Asked;

/// Above this share of the limit a line will soon be missing.
const WATCH_SHARE: f64 = 0.85;

/// The card in words. `wall.js` writes the later ones by the same rules.
#[derive(Debug, Clone, Default)]
pub struct Capacity {
    /// "128 of 200 lines in use".
    pub used: String,
    /// There is a limit.
    pub limited: bool,
    /// Share of the limit as width.
    pub width: String,
    /// Colour class of the bar.
    pub colour: &'static str,
    /// Highest at one moment, and when.
    pub peak: String,
    /// Time-weighted mean.
    pub mean: String,
    /// Time at the limit.
    pub at_limit: String,
    /// Blocked of offered.
    pub blocked: String,
    /// The blocked calls.
    pub blocked_href: String,
    /// Open chats.
    pub chats: String,
}

pub(super) fn capacity(board: &Board, asked: &Asked, s: &Shell) -> Capacity {
    let (l, load) = (s.l, &board.now.concurrency);
    let count = |n: u64| format::count(n);
    let used = match load.limit {
        Some(limit) => l.t2("capacity-used", ("n", count(load.used)), ("total", count(limit.into()))),
        None => l.t1("capacity-lines", "n", count(load.used)),
    };
    let share = load.share.unwrap_or(0.0);
    Capacity {
        used,
        limited: load.limit.is_some(),
        width: format!("{:.2}", (share * 100.0).clamp(0.0, 100.0)),
        colour: match share {
            share if share >= 1.0 => "breach",
            share if share >= WATCH_SHARE => "watch",
            _ => "c1",
        },
        peak: load.peak_at.map_or_else(
            || count(load.peak),
            |at| l.t2("capacity-peak-at", ("n", count(load.peak)), ("time", format::minute(at, &s.zone))),
        ),
        mean: load.mean.map_or_else(|| DASH.to_owned(), |mean| format::decimal(mean, 1)),
        at_limit: load.at_limit_ms.map_or_else(|| DASH.to_owned(), format::duration),
        blocked: l.t2(
            "capacity-blocked-of",
            ("n", count(board.offered.blocked)),
            ("total", count(board.offered.total)),
        ),
        blocked_href: behind(Metric::CallsBlocked, asked, board.from),
        chats: count(board.now.chats),
    }
}
