//! The operator page: how complete figures are, how far each partition is, what roles say of themselves, what was set aside.

use askama::Template;
use trunkline_actors::facts::FactsState;
use trunkline_actors::{Completeness, PartitionState, RoleState, Unknown};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{ClassCount, StoredSetAside};

use crate::l10n::Texts;
use crate::pages::format::{self, DASH};
use crate::pages::shell::Shell;

/// A lag beyond this needs a look.
const LAG_WATCH_MS: i64 = 2_000;
/// And beyond this, now.
const LAG_BREACH_MS: i64 = 30_000;
/// Records on their way to the analytics store beyond which it does not keep up.
const BEHIND_WATCH: u64 = 20_000;

/// A figure with its state.
pub struct Figure {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// `ok`, `watch`, `breach`, or empty.
    pub state: &'static str,
    /// Word beside.
    pub note: String,
}

/// A role's own report.
pub struct RoleLine {
    /// Name.
    pub name: String,
    /// One line of it.
    pub brief: String,
    /// All of it.
    pub json: String,
}

/// What moves: refreshed every few seconds.
#[derive(Template)]
#[template(path = "parts/operator.html")]
pub struct Figures {
    /// Frame.
    pub s: Shell,
    figures: Vec<Figure>,
    partition_heads: Vec<String>,
    partitions: Vec<Vec<String>>,
    roles: Vec<RoleLine>,
}

impl Figures {
    /// The figures in the reader's words.
    pub fn of(s: Shell, completeness: &Completeness, partitions: &[PartitionState], roles: &[RoleState], facts: &FactsState) -> Figures {
        let l = s.l;
        Figures {
            figures: figures(completeness, partitions, facts, &s),
            partition_heads: [
                "part-number",
                "part-state",
                "part-next",
                "part-applied",
                "part-calls",
                "part-residue",
                "part-behind",
            ]
            .map(|key| l.t(key))
            .into(),
            partitions: partitions.iter().map(|partition| partition_line(partition, facts, &s)).collect(),
            roles: role_lines(roles, l),
            s,
        }
    }
}

/// A set-aside event.
pub struct Aside {
    machine: String,
    at: String,
    event: String,
    reason: String,
    call: String,
    bytes: String,
    href: String,
}

/// Records of one class.
pub struct ClassLine {
    event: String,
    unknown: bool,
    ending: String,
    records: String,
    calls: String,
}

/// An unknown name.
pub struct UnknownLine {
    kind: String,
    name: String,
    count: String,
}

/// The page.
#[derive(Template)]
#[template(path = "operator.html")]
pub struct OperatorPage {
    s: Shell,
    figures: Vec<Figure>,
    partition_heads: Vec<String>,
    partitions: Vec<Vec<String>>,
    roles: Vec<RoleLine>,
    set_aside: Vec<Aside>,
    classes: Vec<ClassLine>,
    unknown: Vec<UnknownLine>,
    store_away: bool,
}

impl OperatorPage {
    /// The page; `stored` is missing while the analytics store does not answer.
    pub fn of(moving: Figures, stored: Option<(Vec<StoredSetAside>, Vec<ClassCount>)>, unknown: &[Unknown]) -> OperatorPage {
        let store_away = stored.is_none();
        let (asides, counts) = stored.unwrap_or_default();
        let Figures {
            s,
            figures,
            partition_heads,
            partitions,
            roles,
        } = moving;
        let names: Vec<&str> = unknown.iter().map(|found| found.name.as_ref()).collect();
        let classes = counts.into_iter().map(|class| class_line(class, &names, s.l)).collect();
        let set_aside = asides.into_iter().map(|record| aside(record, &s)).collect();
        let kind_word = |found: &Unknown| {
            serde_json::to_value(found.kind)
                .ok()
                .and_then(|kind| kind.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        let unknown = unknown.iter().map(|found| UnknownLine {
            kind: kind_word(found).replace('_', " "),
            name: found.name.to_string(),
            count: format::count(found.count),
        });
        OperatorPage {
            unknown: unknown.collect(),
            figures,
            partition_heads,
            partitions,
            roles,
            set_aside,
            classes,
            store_away,
            s,
        }
    }
}

fn figures(c: &Completeness, partitions: &[PartitionState], facts: &FactsState, s: &Shell) -> Vec<Figure> {
    let l = s.l;
    let figure = |key: &str, value: String, state, note: String| Figure {
        name: l.t(key),
        value,
        state,
        note,
    };
    let seconds = |ms: Option<i64>| {
        ms.map_or_else(
            || DASH.to_owned(),
            |ms| format!("{} s", format::decimal(ms.max(0) as f64 / 1000.0, 1)),
        )
    };
    let lag = match c.lag_ms {
        None => "watch",
        Some(ms) if ms >= LAG_BREACH_MS => "breach",
        Some(ms) if ms >= LAG_WATCH_MS => "watch",
        Some(_) => "ok",
    };
    let zero = |count: u64, otherwise| if count == 0 { "ok" } else { otherwise };
    let (word, state) = if c.log_away {
        ("op-log-away", "breach")
    } else if c.rebuilding {
        ("part-rebuilding", "watch")
    } else {
        ("part-current", "ok")
    };
    let behind = facts.behind_records.max(0) as u64;
    let (written_word, written) = match (&facts.waits_for, behind) {
        (Some(_), _) => ("fig-waits", "breach"),
        (None, 0..BEHIND_WATCH) => ("fig-records", "ok"),
        (None, _) => ("fig-records", "watch"),
    };
    let set_aside: u64 = c.set_aside.values().sum();
    vec![
        figure(
            "fig-complete",
            c.complete_to.map_or_else(|| DASH.to_owned(), |at| format::clock(at, &s.zone)),
            state,
            l.t(word),
        ),
        figure("fig-lag", seconds(c.lag_ms), lag, l.t1("fig-p95", "seconds", seconds(c.lag_p95_ms))),
        figure("fig-intake", seconds(c.intake_lag_p95_ms), "", l.t("fig-minute")),
        figure(
            "fig-gaps",
            format::count(c.gaps.len() as u64),
            zero(c.gaps.len() as u64, "breach"),
            l.t2("fig-assigned", ("n", c.assigned), ("total", c.partitions)),
        ),
        figure("fig-facts", format::count(behind), written, l.t(written_word)),
        figure(
            "fig-live",
            format::count(partitions.iter().map(|p| p.calls as u64).sum()),
            "",
            l.t("fig-actors"),
        ),
        figure(
            "fig-open",
            format::count(c.open_without_end),
            zero(c.open_without_end, "watch"),
            l.t1("fig-presumed", "n", format::count(c.presumed_ended)),
        ),
        figure(
            "fig-set-aside",
            format::count(set_aside),
            zero(set_aside, "watch"),
            l.t("fig-horizon"),
        ),
    ]
}

fn partition_line(p: &PartitionState, facts: &FactsState, s: &Shell) -> Vec<String> {
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
    ]
}

fn role_lines(roles: &[RoleState], l: &Texts) -> Vec<RoleLine> {
    let line = |role: &RoleState| RoleLine {
        name: role.role.clone(),
        brief: l.t2(
            "role-brief",
            ("n", format::count(role.alive.max(0) as u64)),
            ("total", format::count(role.deaths)),
        ),
        json: serde_json::to_string_pretty(role).unwrap_or_default(),
    };
    roles.iter().map(line).collect()
}

fn aside(record: StoredSetAside, s: &Shell) -> Aside {
    let at = Millis(record.received_at);
    let place = [
        ("log", record.log.clone()),
        ("partition", record.log_partition.to_string()),
        ("offset", record.log_offset.to_string()),
        ("kind", record.kind.clone()),
        ("call", record.call_id.clone()),
    ];
    let query: Vec<String> = place
        .iter()
        .map(|(name, value)| format!("{name}={}", format::path_segment(value)))
        .collect();
    Aside {
        machine: format::machine(at),
        at: format::full(at, &s.zone),
        event: if record.event.is_empty() { DASH.to_owned() } else { record.event },
        reason: record.set_aside.replace('_', " "),
        call: if record.call_id.is_empty() {
            DASH.to_owned()
        } else {
            format::short_id(&record.call_id)
        },
        bytes: format::count(record.bytes),
        href: format!("/operator/raw?{}", query.join("&")),
    }
}

fn class_line(class: ClassCount, unknown: &[&str], l: &Texts) -> ClassLine {
    let ending = match (class.set_aside.as_str(), class.of_a_call) {
        ("", true) => l.t("ending-applied"),
        ("", false) => l.t("ending-outside"),
        (reason, _) => reason.replace('_', " "),
    };
    ClassLine {
        unknown: unknown.contains(&class.event.as_str()),
        event: class.event,
        ending,
        records: format::count(class.records),
        calls: format::count(class.calls),
    }
}
