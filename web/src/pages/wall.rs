//! The wallboard: the board's figures in the reader's words.

use askama::Template;
use serde_json::json;
use trunkline_core::facts::Direction;
use trunkline_core::instant::Millis;
use trunkline_core::metric::{AgentRow, Board, Metric};

use crate::l10n::Texts;
use crate::pages::alert::{self, Alert};
use crate::pages::capacity::{Capacity, capacity};
use crate::pages::format::{self, DASH};
use crate::pages::now::{Now, now};
use crate::pages::row::{LiveRow, ShownRow};
use crate::pages::shell::{Shell, json as script_json};
use crate::pages::tile::{ShownTile, behind, metric_name, tile};

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
    capacity: Capacity,
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
        let tiles: Vec<ShownTile> = board.tiles.iter().map(|t| tile(t, &asked, board.from, l)).collect();
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
            now: now(board, calls, &asked, l),
            tiles,
            rows,
            live_count: format::count(calls.len() as u64),
            per: l.t1("per-interval", "n", board.interval_ms / 60_000),
            mix: mix(board, &asked, l),
            ended_total: l.t1("ended-today", "n", format::count(board.ended.iter().map(|class| class.count).sum())),
            alert_count: l.t1("alerts-open", "n", format::count(alerts.open as u64)),
            alerts: alerts.lines,
            capacity: capacity(board, &asked, &s),
            agent_rows: board
                .agents
                .iter()
                .take(ROWS)
                .map(|a| agent_line(a, &asked, board.from, l))
                .collect(),
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

fn mix(board: &Board, asked: &Asked, l: &Texts) -> Vec<Mix> {
    let lines = board.ended.iter().map(|class| {
        let key = class.metric.id();
        Mix {
            key,
            href: behind(class.metric, asked, board.from),
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

fn agent_line(agent: &AgentRow, asked: &Asked, from: Millis, l: &Texts) -> AgentLine {
    let id = agent.agent.clone().unwrap_or_default();
    let scope = Asked {
        agent: id.clone(),
        ..asked.clone()
    };
    AgentLine {
        href: behind(Metric::CallsOffered, &scope, from),
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
