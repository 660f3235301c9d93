//! Calls in progress: the first rows of the list; scripts keep it going.

use askama::Template;
use serde_json::json;
use trunkline_core::instant::Millis;

use crate::pages::format;
use crate::pages::row::{LiveRow, SIGNALS, ShownRow};
use crate::pages::shell::{Shell, json as script_json};
use crate::pages::wall::{Asked, Choice};

/// Rows the server writes; scripts show all.
const FIRST_ROWS: usize = 100;

/// The page.
#[derive(Template)]
#[template(path = "live.html")]
pub struct LivePage {
    s: Shell,
    agent: String,
    direction: String,
    agents: Vec<Choice>,
    directions: Vec<Choice>,
    signals: Vec<Choice>,
    rows: Vec<ShownRow>,
    live_count: String,
    blank_row: ShownRow,
    boot: String,
}

impl LivePage {
    /// The calls, longest first, in the reader's words.
    pub fn of(s: Shell, asked: Asked, agents: &[(String, String)], calls: &[LiveRow], now: Millis, stream: &str) -> LivePage {
        let l = s.l;
        let choose = |id: &str, name: String, chosen: &str| Choice {
            id: id.to_owned(),
            name,
            selected: id == chosen,
        };
        LivePage {
            agents: agents.iter().map(|(id, name)| choose(id, name.clone(), &asked.agent)).collect(),
            directions: ["inbound", "outbound"]
                .map(|id| choose(id, l.t(&format!("way-{id}")), &asked.direction))
                .into(),
            signals: SIGNALS.map(|id| choose(id, l.t(&format!("signal-{id}")), "")).into(),
            rows: calls.iter().take(FIRST_ROWS).map(|row| ShownRow::of(row, now, l)).collect(),
            live_count: format::count(calls.len() as u64),
            blank_row: ShownRow::default(),
            boot: script_json(&json!({"calls": calls, "stream": stream, "now": now})),
            agent: asked.agent,
            direction: asked.direction,
            s,
        }
    }
}
