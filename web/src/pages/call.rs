//! One call: its conversation, what is known of it, its events. The same page while it runs and for ever after.

use askama::Template;
use serde_json::json;
use trunkline_core::facts::{CallFacts, CallState, Item};
use trunkline_core::instant::Millis;

use crate::l10n::Texts;
use crate::pages::detail::{Event, Field, Id, Latency, Part, costs, events, glance, ids, latency, plain, transfer_fields};
use crate::pages::format::{self, DASH};
use crate::pages::log;
use crate::pages::row::{self, LiveRow, Prices};
use crate::pages::shell::{Shell, json as script_json};
use crate::pages::talk::{self, Bar, Shown};

/// The page.
#[derive(Template)]
#[template(path = "call.html")]
pub struct CallPage {
    s: Shell,
    live: bool,
    crumbs: Vec<(String, String)>,
    agent: String,
    from: String,
    to: String,
    version: String,
    state: &'static str,
    state_word: String,
    duration: String,
    recording: String,
    talk: String,
    strip: Vec<Bar>,
    items: Vec<Shown>,
    no_turns_title: String,
    no_turns_words: String,
    summary: String,
    glance: Vec<Field>,
    ids: Vec<Id>,
    latency: Vec<Latency>,
    latency_hint: String,
    costs: Vec<Part>,
    cost_total: String,
    transfers: Vec<Vec<Field>>,
    analysis: Vec<Field>,
    events: Vec<Event>,
    events_count: String,
    fields: Vec<Field>,
    raw_href: String,
    blank_turn: Shown,
    blank_tool: Shown,
    blank_note: Shown,
    boot: String,
}

/// What the page tells beside the call itself.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// Name of the business.
    pub business: &'a str,
    /// Address of the call's stream.
    pub stream: &'a str,
    /// Prices behind the cost of a running call.
    pub prices: &'a Prices,
    /// Now.
    pub now: Millis,
}

impl CallPage {
    /// The page of a call.
    pub fn of(mut s: Shell, facts: &CallFacts, transcript: &[Item], told: &Told<'_>) -> CallPage {
        let l = s.l;
        let Told {
            business,
            stream,
            prices,
            now,
        } = *told;
        let live = facts.state != CallState::Ended;
        let row = live.then(|| LiveRow::of(facts, prices));
        let lasts = if live {
            now.since(facts.opened_at())
        } else {
            facts.duration_ms.unwrap_or(0)
        };
        let agent = facts.agent_name.as_deref().or(facts.agent_id.as_deref()).unwrap_or(DASH).to_owned();
        let number = |number: &Option<std::sync::Arc<str>>| number.as_deref().map(format::number).unwrap_or_default();
        let (from, to) = match (number(&facts.from_number), number(&facts.to_number)) {
            (from, to) if from.is_empty() && to.is_empty() => (
                l.t(&format!("way-{}", row::way(facts.key.kind, facts.channel, facts.direction))),
                agent.clone(),
            ),
            (from, to) if facts.direction == trunkline_core::facts::Direction::Outbound => (agent_or(&agent, from), to),
            (from, _) => (from, agent.clone()),
        };
        s.title = format!("{from} → {to}");
        let (state, state_word) = state(facts, l);
        let home = if live { ("/live", "nav-live") } else { ("/calls", "nav-calls") };
        let mut crumbs = vec![(home.0.to_owned(), l.t(home.1))];
        if !business.is_empty() {
            crumbs.push((home.0.to_owned(), business.to_owned()));
        }
        let lang = facts.language.as_deref().unwrap_or_default();
        let path = row::href(facts.key.kind, &facts.key.id);
        CallPage {
            live,
            crumbs,
            version: facts.agent_version.map(|version| format!("v{version}")).unwrap_or_default(),
            state,
            state_word,
            duration: if live || facts.duration_ms.is_some() {
                format::duration(lasts)
            } else {
                String::new()
            },
            recording: facts
                .recording_url
                .as_deref()
                .filter(|url| url.starts_with("https://"))
                .unwrap_or_default()
                .to_owned(),
            talk: talk_words(facts, lasts, l),
            strip: talk::strip(transcript, lasts),
            items: talk::shown(transcript, lang, l),
            no_turns_title: l.t(if live { "no-turns-live" } else { "no-turns" }),
            no_turns_words: l.t(if live { "no-turns-live-words" } else { "no-turns-words" }),
            summary: facts.analysis.summary.as_deref().unwrap_or_default().to_owned(),
            glance: glance(facts, row.as_ref(), now, &s),
            ids: ids(facts, l),
            latency: latency(facts, if live { talk::responses(transcript) } else { Vec::new() }, l),
            latency_hint: l.t(if live && facts.latency.is_empty() {
                "latency-hint-live"
            } else {
                "latency-hint"
            }),
            costs: costs(facts),
            cost_total: facts
                .cost
                .as_ref()
                .and_then(|cost| cost.combined_cents)
                .map(format::money)
                .unwrap_or_default(),
            transfers: facts.transfers.iter().map(|transfer| transfer_fields(transfer, l)).collect(),
            analysis: facts.analysis.custom.iter().map(|(name, value)| plain(name, value)).collect(),
            events: events(&facts.events, &s),
            events_count: l.t2(
                "events-count",
                ("n", format::count(facts.records.into())),
                ("total", format::count(facts.repeats.into())),
            ),
            fields: [&facts.metadata, &facts.variables, &facts.collected]
                .into_iter()
                .flatten()
                .map(|(name, value)| plain(name, value))
                .collect(),
            raw_href: format!("{path}/raw"),
            blank_turn: Shown {
                kind: "turn",
                ..Shown::default()
            },
            blank_tool: Shown {
                kind: "tool",
                ..Shown::default()
            },
            blank_note: Shown {
                kind: "note",
                ..Shown::default()
            },
            boot: script_json(
                &json!({"stream": stream, "live": live, "opened_at": facts.opened_at(), "lang": lang, "items": if live { transcript } else { &[] }, "row": row, "now": now}),
            ),
            agent,
            from,
            to,
            s,
        }
    }
}

fn agent_or(agent: &str, from: String) -> String {
    if agent == DASH { from } else { agent.to_owned() }
}

fn state(facts: &CallFacts, l: &Texts) -> (&'static str, String) {
    let class = facts.reason_class.and_then(|class| serde_json::to_value(class).ok());
    match facts.state {
        CallState::Registered => ("registered", l.t("call-registered")),
        CallState::Ongoing => ("ongoing", l.t("call-ongoing")),
        CallState::Ended if facts.presumed_ended => ("missed", l.t("class-presumed")),
        CallState::Ended => log::ended(
            class.as_ref().and_then(|class| class.as_str()).unwrap_or_default(),
            facts.key.kind,
            l,
        ),
    }
}

fn talk_words(facts: &CallFacts, lasts: i64, l: &Texts) -> String {
    let speech = &facts.speech;
    match (speech.agent_talk_ms, speech.user_talk_ms) {
        (Some(agent), Some(user)) if lasts > 0 => {
            let share = |ms: i64| (ms as f64 * 100.0 / lasts as f64).clamp(0.0, 100.0).round() as i64;
            let silent = lasts - (agent + user - speech.overtalk_ms.unwrap_or(0));
            let turns = l.t1("talk-turns", "n", format::count(speech.turns.into()));
            format!(
                "{turns} · {} {} % · {} {} % · {} {} %",
                l.t("talk-agent"),
                share(agent),
                l.t("talk-user"),
                share(user),
                l.t("talk-silence"),
                share(silent.max(0))
            )
        }
        _ => l.t1("talk-turns", "n", format::count(speech.turns.into())),
    }
}
