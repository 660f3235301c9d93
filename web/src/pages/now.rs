//! The block at the top of the wall: calls in progress against the limit, and the figures of the day.

use trunkline_core::metric::{Board, Metric};

use crate::l10n::Texts;
use crate::pages::format::{self, DASH};
use crate::pages::row::LiveRow;
use crate::pages::spark::{Spark, spark};
use crate::pages::tile::behind;
use crate::pages::wall::Asked;

/// A part of the capacity bar.
#[derive(Debug, Clone)]
pub struct Part {
    /// `inbound`...
    pub key: &'static str,
    /// Colour class.
    pub colour: &'static str,
    /// Word.
    pub word: String,
    /// Calls.
    pub count: String,
    /// Start in hundredths of the bar.
    pub x: String,
    /// Width in hundredths of the bar.
    pub width: String,
}

/// A small figure of the now-block.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Which.
    pub id: &'static str,
    /// The calls behind it.
    pub href: String,
    /// Name.
    pub name: String,
    /// Number.
    pub number: String,
    /// Unit, or a share.
    pub unit: String,
    /// Line below.
    pub sub: String,
    /// Trend.
    pub spark: Spark,
}

/// The block at the top.
#[derive(Debug, Clone)]
pub struct Now {
    /// The calls behind it.
    pub href: String,
    /// Calls in progress.
    pub calls: String,
    /// "limit 200".
    pub limit: String,
    /// Bar.
    pub parts: Vec<Part>,
    /// Offered, answered, spend, with a person.
    pub figures: Vec<Figure>,
}

pub(super) fn now(board: &Board, calls: &[LiveRow], asked: &Asked, l: &Texts) -> Now {
    let load = &board.now.concurrency;
    let origin = board.now.by_direction;
    let parts = [
        ("inbound", "c1", origin.inbound),
        ("outbound", "c2", origin.outbound),
        ("web", "c3", origin.web),
        ("other", "c6", origin.other),
    ];
    let whole = load
        .limit
        .map_or(board.now.in_progress, u64::from)
        .max(board.now.in_progress)
        .max(1) as f64;
    let mut x = 0.0;
    let parts = parts
        .into_iter()
        .filter(|(key, _, count)| *key != "other" || *count > 0)
        .map(|(key, colour, count)| {
            let width = count as f64 * 100.0 / whole;
            let part = Part {
                key,
                colour,
                word: l.t(&format!("way-{key}")),
                count: format::count(count),
                x: format!("{x:.2}"),
                width: format!("{width:.2}"),
            };
            x += width;
            part
        });
    let parts = parts.collect();
    let offered = &board.offered;
    let counts = |series: &[u64]| series.iter().map(|n| Some(*n as f64)).collect::<Vec<_>>();
    let figure = |id, href, number, unit, sub, values: &[Option<f64>]| Figure {
        id,
        href,
        name: l.t(&format!("figure-{id}")),
        number,
        unit,
        sub,
        spark: spark(values, None),
    };
    let of = |metric| behind(metric, asked, board.from);
    let pace = offered
        .pace_per_hour
        .map_or_else(String::new, |pace| l.t1("pace", "n", format::decimal(pace, 0)));
    let rate = offered
        .answer_rate
        .map_or_else(String::new, |share| format!("{} %", format::decimal(share * 100.0, 1)));
    let spent = offered.spend_cents.map_or_else(|| DASH.to_owned(), format::money);
    let transfers = l.t2(
        "transfers-today",
        ("n", format::count(offered.transfers)),
        ("total", format::count(offered.transfers_bridged)),
    );
    Now {
        href: asked.link("/live", &[]),
        calls: format::count(board.now.in_progress),
        limit: load
            .limit
            .map_or_else(String::new, |limit| l.t1("limit", "n", format::count(limit.into()))),
        parts,
        figures: vec![
            figure(
                "offered",
                of(Metric::CallsOffered),
                format::count(offered.total),
                String::new(),
                pace,
                &counts(&offered.series),
            ),
            figure(
                "answered",
                of(Metric::CallsAnswered),
                format::count(offered.answered),
                rate,
                l.t1("blocked", "n", format::count(offered.blocked)),
                &counts(&offered.answered_series),
            ),
            figure(
                "spend",
                of(Metric::Cost),
                spent,
                String::new(),
                in_flight(board, calls, l),
                &offered.spend_series,
            ),
            figure(
                "person",
                of(Metric::CallsWithPerson),
                format::count(board.now.by_state.with_person),
                l.t("now-word"),
                transfers,
                &[],
            ),
        ],
    }
}

/// What the running calls have cost so far, by estimate; where nothing can be estimated, whose word the spend is.
fn in_flight(board: &Board, calls: &[LiveRow], l: &Texts) -> String {
    let costs: Vec<f64> = calls.iter().filter_map(|call| call.cost(board.as_of)).collect();
    if costs.is_empty() {
        l.t("spend-note")
    } else {
        l.t1("spend-flight", "value", format::money(costs.iter().sum()))
    }
}
