//! The wallboard: the board's figures in the reader's words.

use askama::Template;
use serde_json::json;
use trunkline_core::facts::Direction;
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Board, Metric, StateWord, Tile, Unit};

use crate::l10n::Texts;
use crate::pages::alert::{self, Alert};
use crate::pages::format::{self, DASH};
use crate::pages::row::{LiveRow, ShownRow};
use crate::pages::shell::{Shell, json as script_json};
use crate::pages::spark::{Spark, spark};

/// Rows of calls on the wall; the list page shows all.
pub const ROWS: usize = 12;

/// One choice of a filter.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Value.
    pub id: String,
    /// Word.
    pub name: String,
    /// Chosen now.
    pub selected: bool,
}

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

/// A class of endings.
#[derive(Debug, Clone)]
pub struct Mix {
    /// `ended_normal`...
    pub key: &'static str,
    /// The calls behind it.
    pub href: String,
    /// Name.
    pub name: String,
    /// Share in words.
    pub share: String,
    /// Share as width.
    pub width: String,
    /// Colour class.
    pub colour: &'static str,
}

/// An agent's row.
#[derive(Debug, Clone)]
pub struct AgentLine {
    /// Retell's id.
    pub id: String,
    /// The calls behind it.
    pub href: String,
    /// Name.
    pub name: String,
    /// Calls in progress.
    pub live: String,
    /// Success rate.
    pub success: String,
    /// Average handle time.
    pub aht: String,
}

/// What the address of the page asks for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Business, public id.
    pub business: String,
    /// Agent's id.
    pub agent: String,
    /// `inbound`, `outbound`.
    pub direction: String,
}

impl Asked {
    /// The address of `page` with these filters and `more`.
    pub fn link(&self, page: &str, more: &[(&str, &str)]) -> String {
        let own = [
            ("business", self.business.as_str()),
            ("agent", self.agent.as_str()),
            ("direction", self.direction.as_str()),
        ];
        let set = own.iter().chain(more).filter(|(_, value)| !value.is_empty());
        let query: Vec<String> = set.map(|(name, value)| format!("{name}={}", format::path_segment(value))).collect();
        if query.is_empty() {
            page.to_owned()
        } else {
            format!("{page}?{}", query.join("&"))
        }
    }
}

/// The page.
#[derive(Template)]
#[template(path = "wall.html")]
pub struct WallPage {
    s: Shell,
    heading: String,
    scope_words: String,
    agent: String,
    direction: String,
    agents: Vec<Choice>,
    directions: Vec<Choice>,
    since: String,
    tv_href: String,
    live_href: String,
    first_use: bool,
    intake_url: String,
    now: Now,
    tiles: Vec<ShownTile>,
    rows: Vec<ShownRow>,
    live_count: String,
    per: String,
    mix: Vec<Mix>,
    ended_total: String,
    alerts: Vec<Alert>,
    alert_count: String,
    agent_rows: Vec<AgentLine>,
    blank_row: ShownRow,
    blank_alert: Alert,
    boot: String,
}

/// What the page is made of.
pub struct Material<'a> {
    /// Name of the business, or of the organisation.
    pub heading: String,
    /// Filters of the address.
    pub asked: Asked,
    /// Agents to choose from: id and name.
    pub agents: Vec<(String, String)>,
    /// Figures.
    pub board: &'a Board,
    /// Calls in progress, longest first, all of them.
    pub calls: &'a [LiveRow],
    /// Address to paste at Retell; shown before the first event.
    pub intake_url: String,
    /// Nothing has ever arrived.
    pub first_use: bool,
    /// Address of the live stream.
    pub stream: String,
}

impl WallPage {
    /// Puts `material` into the reader's words.
    pub fn of(s: Shell, material: Material<'_>) -> WallPage {
        let l = s.l;
        let Material {
            heading,
            asked,
            agents,
            board,
            calls,
            ..
        } = material;
        let now_at = board.as_of;
        let tiles: Vec<ShownTile> = board.tiles.iter().map(|t| tile(t, &asked, l)).collect();
        let alerts = alert::of(board, calls, &asked, l);
        let rows = calls.iter().take(ROWS).map(|row| ShownRow::of(row, now_at, l)).collect();
        let boot = script_json(&json!({
            "board": board, "calls": calls.iter().take(ROWS).collect::<Vec<_>>(), "stream": material.stream,
            "asked": {"business": asked.business, "agent": asked.agent, "direction": asked.direction}, "rows": ROWS,
        }));
        let choose = |id: &str, name: String, chosen: &str| Choice {
            id: id.to_owned(),
            name,
            selected: id == chosen,
        };
        let agent_words = agents
            .iter()
            .find(|(id, _)| *id == asked.agent)
            .map_or_else(|| l.t("all-agents"), |(_, name)| name.clone());
        let direction_words = l.t(match asked.direction.as_str() {
            "inbound" => "way-inbound",
            "outbound" => "way-outbound",
            _ => "both-directions",
        });
        WallPage {
            heading,
            scope_words: format!("{agent_words} · {direction_words}"),
            agents: agents.iter().map(|(id, name)| choose(id, name.clone(), &asked.agent)).collect(),
            directions: ["inbound", "outbound"]
                .map(|id| choose(id, l.t(&format!("way-{id}")), &asked.direction))
                .into(),
            since: l.t1(
                "since",
                "time",
                format!("{} {}", format::minute(board.from, &s.zone), zone_word(board.from, &s)),
            ),
            tv_href: asked.link("/wall", &[("tv", "1")]),
            live_href: asked.link("/live", &[]),
            first_use: material.first_use,
            intake_url: material.intake_url,
            now: now(board, &asked, l),
            tiles,
            rows,
            live_count: format::count(calls.len() as u64),
            per: l.t1("per-interval", "n", board.interval_ms / 60_000),
            mix: mix(board, &asked, l),
            ended_total: l.t1("ended-today", "n", format::count(board.ended.iter().map(|class| class.count).sum())),
            alert_count: l.t1("alerts-open", "n", alerts.len()),
            alerts,
            agent_rows: board.agents.iter().take(ROWS).map(|a| agent_line(a, &asked, l)).collect(),
            blank_row: ShownRow::default(),
            blank_alert: Alert::default(),
            boot,
            agent: asked.agent,
            direction: asked.direction,
            s,
        }
    }
}

fn zone_word(at: Millis, s: &Shell) -> String {
    format::full(at, &s.zone).rsplit(' ').next().unwrap_or("UTC").to_owned()
}

fn now(board: &Board, asked: &Asked, l: &Texts) -> Now {
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
    let figure = |id, more: &[(&str, &str)], number, unit, sub, values: &[Option<f64>]| Figure {
        id,
        href: asked.link("/calls", more),
        name: l.t(&format!("figure-{id}")),
        number,
        unit,
        sub,
        spark: spark(values, None),
    };
    let today = [("range", "today")];
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
                &today,
                format::count(offered.total),
                String::new(),
                pace,
                &counts(&offered.series),
            ),
            figure(
                "answered",
                &today,
                format::count(offered.answered),
                rate,
                l.t1("blocked", "n", format::count(offered.blocked)),
                &counts(&offered.answered_series),
            ),
            figure("spend", &today, spent, String::new(), l.t("spend-note"), &offered.spend_series),
            figure(
                "person",
                &[("transferred", "true")],
                format::count(board.now.by_state.with_person),
                l.t("now-word"),
                transfers,
                &[],
            ),
        ],
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
        Unit::CentsPerMinute => (format::money(value), "/ min".to_owned()),
        Unit::CallsPerHour => (format::decimal(value, 0), "/ h".to_owned()),
        Unit::Calls | Unit::Chats | Unit::Transfers => (format::count(value.max(0.0).round() as u64), String::new()),
    }
}

fn tile(tile: &Tile, asked: &Asked, l: &Texts) -> ShownTile {
    let id = tile.metric.id();
    let (number, unit) = value(tile.value, tile.unit);
    let state = state_word(tile.state);
    let word = if tile.provisional && tile.value.is_some() {
        l.t("provisional")
    } else {
        l.t(&format!("state-{state}"))
    };
    ShownTile {
        id,
        href: drill(tile.metric, asked),
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
        (_, None | Some(0.0)) => l.t("no-calls-yet"),
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

/// The calls behind a metric: the log with the filter that comes nearest.
fn drill(metric: Metric, asked: &Asked) -> String {
    let more: &[(&str, &str)] = match metric {
        Metric::SuccessRate => &[("success", "false")],
        Metric::SentimentNegative => &[("sentiment", "negative")],
        Metric::ServiceLevelHuman | Metric::TransferRate | Metric::Containment => &[("transferred", "true")],
        _ => &[],
    };
    let mut all = vec![("range", "today")];
    all.extend_from_slice(more);
    asked.link("/calls", &all)
}

fn mix(board: &Board, asked: &Asked, l: &Texts) -> Vec<Mix> {
    let lines = board.ended.iter().map(|class| {
        let key = class.metric.id();
        Mix {
            key,
            href: asked.link(
                "/calls",
                &[("range", "today"), ("class", key.strip_prefix("ended_").unwrap_or(key))],
            ),
            name: metric_name(class.metric, l),
            share: format!("{} %", format::decimal(class.share * 100.0, 1)),
            width: format!("{:.2}", (class.share * 100.0).max(0.8)),
            colour: class_colour(key),
        }
    });
    lines.collect()
}

/// Colour of a class of endings: only faults are red.
fn class_colour(key: &str) -> &'static str {
    match key {
        "ended_normal" => "c1",
        "ended_intervened" | "ended_transfer_not_done" => "c3",
        "ended_fault_own_model" | "ended_fault_provider" => "breach",
        "ended_blocked" | "ended_route" => "c4",
        "ended_callee" | "ended_not_joined" => "c2",
        _ => "c6",
    }
}

fn agent_line(agent: &trunkline_core::metric::AgentRow, asked: &Asked, l: &Texts) -> AgentLine {
    let id = agent.agent.clone().unwrap_or_default();
    let scope = Asked {
        agent: id.clone(),
        ..asked.clone()
    };
    AgentLine {
        href: scope.link("/calls", &[("range", "today")]),
        name: agent
            .name
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| if id.is_empty() { l.t("no-agent") } else { id.clone() }),
        live: l.t1("n-live", "n", format::count(agent.live)),
        success: agent
            .success
            .map_or_else(|| DASH.to_owned(), |share| format!("{} %", format::decimal(share * 100.0, 0))),
        aht: agent.aht_ms.map_or_else(|| DASH.to_owned(), |ms| format::duration(ms as i64)),
        id,
    }
}

/// The direction that an address names.
pub fn direction(word: &str) -> Option<Direction> {
    match word {
        "inbound" => Some(Direction::Inbound),
        "outbound" => Some(Direction::Outbound),
        _ => None,
    }
}
