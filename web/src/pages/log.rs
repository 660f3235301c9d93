//! The call log: filters of the address in words, rows of a page, ways to the next one.

use askama::Template;
use jiff::Timestamp;
use trunkline_core::facts::{Channel, Direction};
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{CallPage, Cursor, ListedCall, Total};

use crate::l10n::Texts;
use crate::pages::format::{self, DASH};
use crate::pages::query::{LogQuery, RANGES, word};
use crate::pages::row;
use crate::pages::shell::Shell;
use crate::pages::tile::metric_name;
use crate::pages::wall::Choice;

/// Calls of one page.
pub const PAGE: u32 = 50;
/// Records on their way to the store from which the log says so: below, the difference to the board is over in a moment.
const BEHIND_TOLD: u64 = 500;
/// The same in the order shown.
const SHOWN_RANGES: [&str; 6] = ["1h", "today", "yesterday", "7d", "30d", "all"];

const CLASSES: [&str; 12] = [
    "normal",
    "intervened",
    "machine",
    "limit",
    "not_joined",
    "callee",
    "route",
    "blocked",
    "fault_own_model",
    "fault_provider",
    "transfer_not_done",
    "new",
];

/// A choice in the filter bar.
pub struct Select {
    /// Field.
    pub name: &'static str,
    /// Its name in words.
    pub label: String,
    /// Word for no choice.
    pub any: String,
    /// Something is chosen.
    pub on: bool,
    /// Choices.
    pub options: Vec<Choice>,
}

/// A link with a word.
pub struct Link {
    /// Address.
    pub href: String,
    /// Word.
    pub name: String,
    /// Chosen now.
    pub selected: bool,
}

/// A row of the log.
pub struct LogRow {
    /// Set on the first row of a day.
    pub day: String,
    /// The call's page.
    pub href: String,
    /// For `datetime`.
    pub machine: String,
    /// Date, time and zone.
    pub full: String,
    /// Time.
    pub time: String,
    /// Mark.
    pub state: &'static str,
    /// Outcome in words.
    pub outcome: String,
    /// Retell's own word.
    pub reason: String,
    /// Duration.
    pub duration: String,
    /// Agent.
    pub agent: String,
    /// Masked number.
    pub caller: String,
    /// Direction or channel.
    pub way: String,
    /// Summary, or what was found: text and whether it is a hit.
    pub summary: Vec<(String, bool)>,
    /// Mood.
    pub sentiment: String,
    /// Success.
    pub success: String,
    /// Turns.
    pub turns: String,
    /// Cost.
    pub cost: String,
}

/// The page.
#[derive(Template)]
#[template(path = "calls.html")]
pub struct LogPage {
    s: Shell,
    ranges: Vec<Link>,
    parts: Vec<Link>,
    hidden: Vec<(&'static str, String)>,
    selects: Vec<Select>,
    q: String,
    on: Vec<Link>,
    rows: Vec<LogRow>,
    newer: String,
    news: String,
    behind: String,
    here: String,
    older: String,
    shown: String,
    total: String,
    empty_title: String,
    empty_words: String,
    widen: String,
}

impl LogPage {
    /// A page of calls in the reader's words.
    pub fn of(s: Shell, query: &LogQuery, page: &CallPage, total: Option<Total>, agents: &[(String, String)], behind: u64) -> LogPage {
        let l = s.l;
        let ranges = SHOWN_RANGES.map(|range| Link {
            href: query.link("range", if range == RANGES[0] { "" } else { range }),
            name: l.t(&format!("range-{range}")),
            selected: range == query.range(),
        });
        let on = on(query, agents, &s);
        let filtered = !on.is_empty();
        let mut last_day = String::new();
        let rows = page.calls.iter().enumerate().map(|(i, call)| {
            let mut row = shown(call, page.hits.get(i).map_or(&[][..], Vec::as_slice), &s);
            let day = format::day(Millis(call.opened_at), &s.zone);
            if day != last_day {
                row.day.clone_from(&day);
                last_day = day;
            }
            row
        });
        let rows: Vec<LogRow> = rows.collect();
        let top = page.calls.first().map(|call| Cursor {
            opened_at: call.opened_at,
            call_id: call.call_id.clone(),
            kind: call.kind(),
        });
        let cursor = |name, cursor: &Option<Cursor>| cursor.as_ref().map(|at| query.link(name, &at.to_string())).unwrap_or_default();
        LogPage {
            ranges: ranges.into(),
            parts: parts(query, l),
            hidden: [
                ("range", &query.range),
                ("since", &query.since),
                ("behind", &query.behind),
                ("behind_part", &query.behind_part),
                ("business", &query.business),
                ("transferred", &query.transferred),
            ]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.clone()))
            .collect(),
            selects: selects(query, agents, l),
            q: query.q.clone(),
            newer: cursor("before", &page.newer),
            news: query.news(top.as_ref()),
            behind: if behind >= BEHIND_TOLD {
                l.t1("log-behind", "n", format::count(behind))
            } else {
                String::new()
            },
            here: query.link("", ""),
            older: cursor("after", &page.older),
            shown: l.t1("rows-shown", "n", rows.len()),
            total: total.map(|total| total_words(total, l)).unwrap_or_default(),
            empty_title: l.t(if filtered { "no-match-title" } else { "no-calls-title" }),
            empty_words: l.t(if filtered { "no-match-words" } else { "no-calls-log-words" }),
            widen: if matches!(query.range(), "30d" | "all" | "") {
                String::new()
            } else {
                query.link("range", "30d")
            },
            on,
            rows,
            s,
        }
    }
}

fn total_words(total: Total, l: &Texts) -> String {
    let text = format::count(total.calls);
    if total.exact {
        l.t2("calls-exact", ("n", total.calls), ("text", text))
    } else {
        l.t1("calls-at-least", "text", text)
    }
}

fn selects(query: &LogQuery, agents: &[(String, String)], l: &Texts) -> Vec<Select> {
    let select = |name: &'static str, chosen: &str, options: Vec<(String, String)>| Select {
        name,
        label: l.t(&format!("filter-{}", name.replace('_', "-"))),
        any: l.t(&format!("any-{}", name.replace('_', "-"))),
        on: !chosen.is_empty(),
        options: options
            .into_iter()
            .map(|(id, name)| Choice {
                selected: id == chosen,
                id,
                name,
            })
            .collect(),
    };
    let words = |start: &str, ids: &[&str]| -> Vec<(String, String)> {
        ids.iter()
            .map(|id| ((*id).to_owned(), l.t(&format!("{start}-{}", id.replace('_', "-")))))
            .collect()
    };
    vec![
        select("agent", &query.agent, agents.to_vec()),
        select("direction", &query.direction, words("way", &["inbound", "outbound"])),
        select("channel", &query.channel, words("channel", &["phone", "web", "chat"])),
        select("reason_class", &query.reason_class, words("class", &CLASSES)),
        select(
            "sentiment",
            &query.sentiment,
            words("sentiment", &["positive", "neutral", "negative", "unknown"]),
        ),
        select("successful", &query.successful, words("successful", &["true", "false"])),
    ]
}

/// The parts that the calls behind a figure fall into, each with its address.
fn parts(query: &LogQuery, l: &Texts) -> Vec<Link> {
    let chosen = if query.behind_part.is_empty() { "all" } else { &query.behind_part };
    let part = |part: &&'static str| Link {
        href: query.link("behind_part", if *part == "all" { "" } else { part }),
        name: l.t(&format!("part-{part}")),
        selected: *part == chosen,
    };
    query.parts().iter().map(part).collect()
}

/// The filters that are on, each with the address without it.
fn on(query: &LogQuery, agents: &[(String, String)], s: &Shell) -> Vec<Link> {
    let l = s.l;
    let words = |name: &str, value: &str| match name {
        "business" => s
            .businesses
            .iter()
            .find(|b| b.id == value)
            .map_or_else(|| value.to_owned(), |b| b.name.clone()),
        "agent" => agents
            .iter()
            .find(|(id, _)| id == value)
            .map_or_else(|| value.to_owned(), |(_, name)| name.clone()),
        "direction" => l.or(&format!("way-{value}"), value),
        "reason_class" => l.or(&format!("class-{}", value.replace('_', "-")), value),
        "q" => l.t1("filter-words", "name", value),
        "since" => value.parse::<Timestamp>().map_or_else(
            |_| value.to_owned(),
            |at| l.t1("since", "time", format::full(Millis(at.as_millisecond()), &s.zone)),
        ),
        "behind" => value
            .parse()
            .map_or_else(|_| value.to_owned(), |metric| l.t1("filter-behind", "name", metric_name(metric, l))),
        _ => l.or(&format!("{name}-{}", value.replace('_', "-")), value),
    };
    let set = query
        .fields()
        .into_iter()
        .filter(|(name, value)| !matches!(*name, "range" | "behind_part") && !value.is_empty());
    set.map(|(name, value)| Link {
        href: query.link(name, ""),
        name: words(name, value),
        selected: true,
    })
    .collect()
}

fn shown(call: &ListedCall, hits: &[trunkline_stores::clickhouse::Hit], s: &Shell) -> LogRow {
    let l = s.l;
    let opened = Millis(call.opened_at);
    let dash = || DASH.to_owned();
    let agent = if call.agent_name.is_empty() {
        &call.agent_id
    } else {
        &call.agent_name
    };
    let far = if call.direction == "outbound" {
        &call.to_number
    } else {
        &call.from_number
    };
    let (state, outcome) = outcome(call, l);
    let way = row::way(
        call.kind(),
        word(&call.channel).unwrap_or(Channel::Other),
        word(&call.direction).unwrap_or(Direction::None),
    );
    LogRow {
        day: String::new(),
        href: row::href(call.kind(), &call.call_id),
        machine: format::machine(opened),
        full: format::full(opened, &s.zone),
        time: format::clock(opened, &s.zone),
        state,
        outcome,
        reason: call.reason.clone(),
        duration: call.duration_ms.map_or_else(dash, format::duration),
        agent: match (agent.as_str(), call.agent_version) {
            ("", _) => dash(),
            (name, Some(version)) => format!("{name} · v{version}"),
            (name, None) => name.to_owned(),
        },
        caller: if far.is_empty() { dash() } else { format::masked(far) },
        way: l.t(&format!("way-{way}")),
        summary: summary(call, hits),
        sentiment: if call.sentiment.is_empty() {
            dash()
        } else {
            l.or(&format!("sentiment-{}", call.sentiment), &call.sentiment)
        },
        success: call.successful.map_or_else(dash, |yes| l.t(if yes { "yes" } else { "no" })),
        turns: if call.turns == 0 {
            dash()
        } else {
            format::count(call.turns.into())
        },
        cost: call.cost_cents.map_or_else(dash, format::money),
    }
}

/// What was found in the call, else what Retell says of it, else what was said last.
fn summary(call: &ListedCall, hits: &[trunkline_stores::clickhouse::Hit]) -> Vec<(String, bool)> {
    if let Some(hit) = hits.first() {
        return hit.parts.iter().map(|part| (part.text.clone(), part.hit)).collect();
    }
    let text = if call.summary.is_empty() { &call.last_said } else { &call.summary };
    vec![(if text.is_empty() { DASH.to_owned() } else { text.clone() }, false)]
}

/// Mark and word of how a call stands or ended.
fn outcome(call: &ListedCall, l: &Texts) -> (&'static str, String) {
    match call.state.as_str() {
        "registered" | "ongoing" => (
            if call.state == "ongoing" { "ongoing" } else { "registered" },
            l.t(&format!("call-{}", call.state)),
        ),
        _ if call.presumed_ended => ("missed", l.t("class-presumed")),
        _ => ended(&call.reason_class, call.kind(), l),
    }
}

/// Mark and word of a class of reasons.
pub fn ended(class: &str, kind: Kind, l: &Texts) -> (&'static str, String) {
    let mark = match class {
        "fault_own_model" | "fault_provider" => "fault",
        "machine" => "machine",
        "intervened" | "transfer_not_done" => "person",
        "callee" | "not_joined" | "route" | "blocked" | "limit" | "new" => "missed",
        _ => "ended",
    };
    let key = if class.is_empty() || kind == Kind::Chat && class == "none" {
        "none"
    } else {
        class
    };
    (mark, l.or(&format!("class-{}", key.replace('_', "-")), class))
}
