//! The operator page: how complete figures are, how far each partition is, what roles say of themselves, what was set aside.

mod compared;
mod partition;

use askama::Template;
use trunkline_actors::facts::FactsState;
use trunkline_actors::{Completeness, PartitionState, RoleState};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{AgentReceipts, ClassCount, StoredOddity, StoredSetAside};
use trunkline_stores::spool::SpoolState;

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
    partitions_note: String,
    partition_heads: Vec<String>,
    partitions: Vec<Vec<String>>,
    roles: Vec<RoleLine>,
}

impl Figures {
    /// The figures in the reader's words.
    pub fn of(
        s: Shell,
        completeness: &Completeness,
        partitions: &[PartitionState],
        roles: &[RoleState],
        facts: &FactsState,
        spool: Option<&SpoolState>,
    ) -> Figures {
        let l = s.l;
        let mut figures = figures(completeness, partitions, facts, &s);
        figures.extend(completeness.audited.as_ref().map(|audited| compared::agrees(audited, &s)));
        figures.extend(completeness.reconciled.map(|reconciled| compared::healed(&reconciled, &s)));
        figures.extend(spool.map(|spool| spooled(spool, completeness.as_of, l)));
        Figures {
            figures,
            partitions_note: l.t("partitions-note"),
            partition_heads: partition::HEADS.map(|key| l.t(key)).into(),
            partitions: partitions
                .iter()
                .map(|state| partition::line(state, facts, completeness.as_of, &s))
                .collect(),
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

/// Something that Retell sends and does not document.
pub struct OddLine {
    kind: String,
    name: String,
    records: String,
    calls: String,
    first: String,
    first_machine: String,
    last: String,
    last_machine: String,
    agents: String,
    href: String,
}

/// How often an agent's records come again.
pub struct ReceiptLine {
    agent: String,
    calls: String,
    records: String,
    repeats: String,
    revisions: String,
    share: String,
}

/// What the analytics store knows for this page.
#[derive(Default)]
pub struct Stored {
    /// Set-aside records, newest first.
    pub set_aside: Vec<StoredSetAside>,
    /// Records of the last day by class.
    pub classes: Vec<ClassCount>,
    /// What Retell does not document.
    pub undocumented: Vec<StoredOddity>,
    /// Repeats and revisions.
    pub receipts: Vec<AgentReceipts>,
}

/// The page.
#[derive(Template)]
#[template(path = "operator.html")]
pub struct OperatorPage {
    s: Shell,
    figures: Vec<Figure>,
    partitions_note: String,
    partition_heads: Vec<String>,
    partitions: Vec<Vec<String>>,
    roles: Vec<RoleLine>,
    set_aside: Vec<Aside>,
    classes: Vec<ClassLine>,
    undocumented: Vec<OddLine>,
    receipts: Vec<ReceiptLine>,
    store_away: bool,
}

impl OperatorPage {
    /// The page; `stored` is missing while the analytics store does not answer.
    pub fn of(moving: Figures, stored: Option<Stored>) -> OperatorPage {
        let store_away = stored.is_none();
        let stored = stored.unwrap_or_default();
        let Figures {
            s,
            figures,
            partitions_note,
            partition_heads,
            partitions,
            roles,
        } = moving;
        let strange = |found: &&StoredOddity| found.what == "event";
        let names: Vec<&str> = stored
            .undocumented
            .iter()
            .filter(strange)
            .map(|found| found.spelled.as_str())
            .collect();
        OperatorPage {
            classes: stored.classes.into_iter().map(|class| class_line(class, &names, s.l)).collect(),
            set_aside: stored.set_aside.into_iter().map(|record| aside(record, &s)).collect(),
            undocumented: stored.undocumented.iter().map(|found| odd_line(found, &s)).collect(),
            receipts: stored.receipts.iter().map(|of| receipt_line(of, s.l)).collect(),
            figures,
            partitions_note,
            partition_heads,
            partitions,
            roles,
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

/// What waits on our own disk for the log.
fn spooled(spool: &SpoolState, now: Millis, l: &Texts) -> Figure {
    let (state, note) = if spool.trouble.is_some() {
        ("breach", l.t("fig-spool-trouble"))
    } else if spool.records == 0 {
        ("ok", l.t("fig-spool-empty"))
    } else {
        let megabytes = format::decimal(spool.bytes as f64 / 1e6, 1);
        let words = l.t2("fig-spool-holds", ("bytes", megabytes), ("age", format::age(spool.age_ms(now))));
        (if spool.is_unusable() { "breach" } else { "watch" }, words)
    };
    Figure {
        name: l.t("fig-spool"),
        value: format::count(spool.records),
        state,
        note,
    }
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

/// Where a record can be seen as it came.
fn raw_href(log: &str, partition: u32, offset: i64, kind: &str, call: &str) -> String {
    let (log, kind, call) = (format::path_segment(log), format::path_segment(kind), format::path_segment(call));
    format!("/operator/raw?log={log}&partition={partition}&offset={offset}&kind={kind}&call={call}")
}

fn odd_line(found: &StoredOddity, s: &Shell) -> OddLine {
    let (first, last) = (Millis(found.first_at), Millis(found.last_at));
    let (log, partition, offset, kind, call) = &found.sample;
    OddLine {
        kind: s.l.or(&format!("odd-{}", found.what), &found.what),
        name: found.spelled.clone(),
        records: format::count(found.records),
        calls: format::count(found.calls),
        first: format::full(first, &s.zone),
        first_machine: format::machine(first),
        last: format::full(last, &s.zone),
        last_machine: format::machine(last),
        agents: if found.agents.is_empty() {
            DASH.to_owned()
        } else {
            let short: Vec<String> = found.agents.iter().map(|agent| format::short_id(agent)).collect();
            short.join(", ")
        },
        href: raw_href(log, *partition, *offset, kind, call),
    }
}

fn receipt_line(of: &AgentReceipts, l: &Texts) -> ReceiptLine {
    let again = of.repeated as f64 * 100.0 / of.received.max(1) as f64;
    ReceiptLine {
        agent: match (of.name.as_str(), of.agent_id.as_str()) {
            ("", "") => l.t("no-agent"),
            ("", id) => format::short_id(id),
            (name, _) => name.to_owned(),
        },
        calls: format::count(of.conversations),
        records: format::count(of.received),
        repeats: format::count(of.repeated),
        revisions: format::count(of.revised),
        share: format!("{} %", format::decimal(again, 1)),
    }
}

fn aside(record: StoredSetAside, s: &Shell) -> Aside {
    let at = Millis(record.received_at);
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
        href: raw_href(&record.log, record.log_partition, record.log_offset, &record.kind, &record.call_id),
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
