//! The audit log: who did what, searched and exported.

use std::fmt::Write as _;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};
use serde::{Deserialize, Serialize};
use trunkline_core::access::Permission;
use trunkline_core::audit::Deed;
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::Turning;
use trunkline_stores::postgres::config::deeds::{DeedFilter, DeedPage};

use super::{SideItem, shell, side};
use crate::api::audit::{AuditEntry, actor};
use crate::configure::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::identity::session::now;
use crate::pages::shell::Shell;
use crate::pages::{csv as file, format, html};
use crate::state::AppState;

/// Entries on a page.
const SHOWN: u32 = 50;

/// Entries in an exported file: some 5 MB. A longer record is exported month by month.
const EXPORTED_MAX: usize = 10_000;

/// Entries read from Postgres at once for a file.
const READ_AT_ONCE: u32 = 1_000;

/// Openings that are looked at: those in force are among the newest.
const OPENINGS_READ: u32 = 20;

/// The page's address.
const HERE: &str = "/settings/audit";

/// What the address says.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AuditQuery {
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    actor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<i64>,
}

impl AuditQuery {
    /// Days are whole days of the reader's zone, both included.
    fn filter(&self, zone: &TimeZone) -> Result<DeedFilter, Problem> {
        let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let day = |name: &str, text: &str, later: Span| -> Result<Option<Millis>, Problem> {
            let Some(text) = some(text) else { return Ok(None) };
            let start = |day: Date| day.checked_add(later).ok()?.to_zoned(zone.clone()).ok();
            let found = text.parse::<Date>().ok().and_then(start);
            let refused = || Problem::field(name, "not_a_day", format!("{name} must be a day such as 2026-11-28."));
            Ok(Some(Millis(found.ok_or_else(refused)?.timestamp().as_millisecond())))
        };
        Ok(DeedFilter {
            actor: some(&self.actor).map(|text| actor(&text)).transpose()?,
            action: some(&self.action),
            object: None,
            object_id: some(&self.target),
            from: day("from", &self.from, 0.days())?,
            to: day("to", &self.to, 1.days())?,
            words: some(&self.q),
        })
    }

    fn turning(&self) -> Turning<i64> {
        match (self.after, self.before) {
            (Some(number), _) => Turning::Older(number),
            (None, Some(number)) => Turning::Newer(number),
            (None, None) => Turning::First,
        }
    }

    fn link(&self, path: &str, after: Option<i64>, before: Option<i64>) -> String {
        let query = AuditQuery {
            after,
            before,
            ..self.clone()
        };
        let pairs = serde_json::to_value(query).unwrap_or_default();
        let written = pairs.as_object().into_iter().flatten().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", format::path_segment(&text))
        });
        let query = written.collect::<Vec<_>>().join("&");
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        }
    }
}

struct Line {
    number: i64,
    machine: String,
    time: String,
    who: String,
    /// Address of the same list of this actor only.
    of_actor: String,
    action: String,
    what: String,
    source: String,
    request: String,
    before: String,
    after: String,
    hash: String,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/audit.html")]
pub struct AuditPage {
    s: Shell,
    side: Vec<SideItem>,
    query: AuditQuery,
    narrowed: bool,
    lines: Vec<Line>,
    newer: String,
    older: String,
    csv: String,
    json: String,
    export_note: String,
    /// Who of the platform has the organisation's data open now, and why, in words.
    opened: Vec<String>,
}

/// `GET /settings/audit`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<AuditQuery>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Audit)?;
    let query = query.into_inner();
    let mut s = shell(&request, &state, &caller, "set-audit", HERE)?;
    s.here = query.link(HERE, query.after, query.before);
    let filter = query.filter(&s.zone)?;
    let page = read(&state, &caller, &filter, &query.turning(), SHOWN).await?;
    let lines = page.entries.iter().cloned().map(|deed| {
        let entry = deed.entry.clone();
        let form = AuditEntry::of(deed);
        let known = form.actor.id.clone();
        let word = s.l.t(&format!("actor-{}", form.actor.kind));
        Line {
            number: form.number,
            machine: format::machine(entry.at),
            time: format::full(entry.at, &s.zone),
            who: if entry.actor_name.is_empty() {
                word
            } else {
                format!("{} · {word}", entry.actor_name)
            },
            of_actor: known.map_or_else(String::new, |id| {
                let only = AuditQuery {
                    actor: id,
                    ..AuditQuery::default()
                };
                only.link(HERE, None, None)
            }),
            action: form.action,
            what: format!("{} {}", form.target_type, form.target_id.unwrap_or_default()),
            source: form.source.unwrap_or_else(|| format::DASH.to_owned()),
            request: form.request_id.unwrap_or_default(),
            before: form.before.map(|value| format!("{value:#}")).unwrap_or_default(),
            after: form.after.map(|value| format!("{value:#}")).unwrap_or_default(),
            hash: form.hash,
        }
    });
    let lines = lines.collect();
    let openings = state.config.openings(caller.tenant, OPENINGS_READ).await;
    let openings = openings.map_err(|error| refused("list openings", error))?;
    let in_force = openings.into_iter().filter(|opening| opening.holds(now()));
    let opened = in_force.map(|opening| {
        let until = format::full(opening.expires_at, &s.zone);
        let who = s.l.t2("audit-opened", ("name", opening.opened_name), ("time", until));
        format!("{who} {}", opening.reason)
    });
    let opened = opened.collect();
    let link = |after: Option<i64>, before: Option<i64>| match (after, before) {
        (None, None) => String::new(),
        _ => query.link(HERE, after, before),
    };
    html(
        StatusCode::OK,
        &AuditPage {
            side: side(&s),
            narrowed: filter != DeedFilter::default(),
            lines,
            older: link(page.older, None),
            newer: link(None, page.newer),
            csv: query.link("/settings/audit.csv", None, None),
            json: query.link("/settings/audit.json", None, None),
            export_note: s.l.t1("audit-export-note", "n", format::count(EXPORTED_MAX as u64)),
            query,
            opened,
            s,
        },
    )
}

/// `GET /settings/audit.csv`: with the filters of the page.
pub async fn csv(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<AuditQuery>,
) -> Result<HttpResponse, Problem> {
    let entries = export(&caller, &request, &state, &query, "csv").await?;
    let mut text =
        String::from("number,at,actor_type,actor_id,actor_name,source,request_id,action,target_type,target_id,before,after,hash\r\n");
    for entry in entries {
        let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            entry.at.unwrap_or_default(),
            entry.actor.kind,
            entry.actor.id.unwrap_or_default(),
            entry.actor.name,
            entry.source.unwrap_or_default(),
            entry.request_id.unwrap_or_default(),
            entry.action,
            entry.target_type,
            entry.target_id.unwrap_or_default(),
            json(entry.before),
            json(entry.after),
            entry.hash,
        ];
        let _ = write!(text, "{},{}\r\n", entry.number, cells.map(|cell| file::quoted(&cell)).join(","));
    }
    Ok(sent("text/csv; charset=utf-8", "audit.csv", text))
}

/// `GET /settings/audit.json`: with the filters of the page.
pub async fn json(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<AuditQuery>,
) -> Result<HttpResponse, Problem> {
    let entries = export(&caller, &request, &state, &query, "json").await?;
    let text = serde_json::to_string(&entries).map_err(|error| Problem::internal("write the record of deeds", error))?;
    Ok(sent("application/json", "audit.json", text))
}

fn sent(kind: &str, name: &str, text: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(text)
}

/// The newest entries of a filter. That they were taken away is a deed as well.
async fn export(
    caller: &Caller,
    request: &HttpRequest,
    state: &AppState,
    query: &AuditQuery,
    form: &'static str,
) -> Result<Vec<AuditEntry>, Problem> {
    caller.needs(Permission::Audit)?;
    let zone = shell(request, state, caller, "set-audit", HERE)?.zone;
    let filter = query.filter(&zone)?;
    let deed = Deed::plain("audit.export", "audit", form).after(&query);
    let noted = state.config.note_deed(caller.tenant, &caller.by(), &deed).await;
    noted.map_err(|error| refused("note an export", error))?;
    let (mut entries, mut turning) = (Vec::new(), Turning::First);
    while entries.len() < EXPORTED_MAX {
        let page = read(state, caller, &filter, &turning, READ_AT_ONCE).await?;
        entries.extend(page.entries.into_iter().map(AuditEntry::of));
        match page.older {
            Some(number) => turning = Turning::Older(number),
            None => break,
        }
    }
    entries.truncate(EXPORTED_MAX);
    Ok(entries)
}

async fn read(state: &AppState, caller: &Caller, filter: &DeedFilter, turning: &Turning<i64>, limit: u32) -> Result<DeedPage, Problem> {
    let found = state.config.deeds(caller.tenant, filter, turning, limit).await;
    found.map_err(|error| refused("read the record of deeds", error))
}
