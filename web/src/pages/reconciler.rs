//! The operator's page of the reconciler: how far each workspace is compared with Retell's own list of calls, which settings at Retell keep
//! events away, and every call of which something was missing.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::access::Permission;
use trunkline_core::id::WorkspaceId;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::reconciler::{Finding, FindingsFilter, Progress};
use trunkline_stores::postgres::row::Notice;
use uuid::Uuid;

use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::findings::{Choice, Findings, Line, SHOWN, link};
use crate::pages::format::{self, DASH};
use crate::pages::shell::{Place, Shell};
use crate::pages::{frame, html};
use crate::state::AppState;

const BASE: &str = "/operator/reconciler";
/// Agents named with one kind of blind spot; more than these are counted.
const NAMED: usize = 20;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FindingsQuery {
    workspace: String,
    open: bool,
    before: String,
}

struct WorkspaceLine {
    name: String,
    mark: &'static str,
    state: String,
    to: String,
    passed: String,
    next: String,
}

/// What keeps events away, whom it concerns, and what to change.
struct Spot {
    title: String,
    repair: String,
    subjects: Vec<String>,
    more: String,
}

/// The page.
#[derive(Template)]
#[template(path = "reconciler.html")]
pub struct ReconcilerPage {
    s: Shell,
    workspaces: Vec<WorkspaceLine>,
    spots: Vec<Spot>,
    found: Findings,
}

/// `GET /operator/reconciler`.
pub async fn reconciler(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<FindingsQuery>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Operate)?;
    let workspace: Option<WorkspaceId> = match query.workspace.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Problem::not_found())?),
    };
    let before = match query.before.as_str() {
        "" => None,
        text => Some(Uuid::parse_str(text).map_err(|_| Problem::not_found())?),
    };
    let filter = FindingsFilter {
        workspace,
        open: query.open,
        before,
    };
    let (reconciled, notices, findings) = futures::join!(
        state.config.reconciled(caller.tenant, None),
        state.config.notices(caller.tenant),
        // One more than is shown tells whether there are older ones.
        state.config.findings(caller.tenant, &filter, SHOWN + 1),
    );
    let away = |error| Problem::unavailable("read what the reconciler found", error);
    let (reconciled, notices, findings) = (reconciled.map_err(away)?, notices.map_err(away)?, findings.map_err(away)?);
    let s = frame::shell(&request, &state, &caller, Place::Operator, "reconciler", "")?;
    let directory = state.directory.borrow().clone();
    let compared = with_key(&directory, &caller);
    html(
        StatusCode::OK,
        &ReconcilerPage::of(s, &compared, &reconciled, &notices, findings, &query),
    )
}

/// The organisation's open workspaces that have a key for Retell's API, by name.
fn with_key(directory: &Directory, caller: &Caller) -> Vec<(WorkspaceId, String)> {
    let own = directory
        .by_token
        .values()
        .filter(|entry| entry.tenant == caller.tenant && entry.enabled && entry.api_key.is_some());
    let mut own: Vec<(WorkspaceId, String)> = own.map(|entry| (entry.workspace, entry.name.clone())).collect();
    own.sort_by(|a, b| a.1.cmp(&b.1));
    own
}

impl ReconcilerPage {
    pub(super) fn of(
        s: Shell,
        compared: &[(WorkspaceId, String)],
        reconciled: &[(WorkspaceId, Progress)],
        notices: &[Notice],
        mut findings: Vec<Finding>,
        query: &FindingsQuery,
    ) -> ReconcilerPage {
        let progress = |workspace| reconciled.iter().find(|(of, _)| *of == workspace).map(|(_, progress)| progress);
        let workspaces = compared
            .iter()
            .map(|(workspace, name)| workspace_line(name, progress(*workspace), &s))
            .collect();
        let has_older = findings.len() > SHOWN as usize;
        findings.truncate(SHOWN as usize);
        let last = findings.last().filter(|_| has_older);
        ReconcilerPage {
            workspaces,
            spots: spots(notices, compared, &s),
            found: Findings {
                title: s.l.t("findings"),
                none: s.l.t("findings-none"),
                heads: [s.l.t("col-call"), s.l.t("col-agent")],
                choices: choices(compared, query, &s),
                lines: findings.iter().map(|finding| finding_line(finding, &s)).collect(),
                newest: (!query.before.is_empty()).then(|| link(BASE, &query.workspace, query.open, None)),
                older: last.map(|last| link(BASE, &query.workspace, query.open, Some(last.id))),
            },
            s,
        }
    }
}

fn choices(compared: &[(WorkspaceId, String)], query: &FindingsQuery, s: &Shell) -> Vec<Choice> {
    let choice = |name: String, workspace: &str, open: bool| Choice {
        name,
        href: link(BASE, workspace, open, None),
        selected: query.workspace == workspace && query.open == open,
    };
    let mut choices = vec![choice(s.l.t("find-all"), "", false), choice(s.l.t("find-not-healed"), "", true)];
    // With one workspace there is nothing to choose.
    for (workspace, name) in compared.iter().filter(|_| compared.len() > 1) {
        choices.push(choice(name.clone(), &workspace.to_string(), query.open));
    }
    choices
}

fn workspace_line(name: &str, progress: Option<&Progress>, s: &Shell) -> WorkspaceLine {
    let full = |at: Option<Millis>| at.map_or_else(|| DASH.to_owned(), |at| format::full(at, &s.zone));
    let (mark, state) = match progress {
        Some(progress) if !progress.waits_for.is_empty() => ("breach", progress.waits_for.clone()),
        Some(progress) if progress.passed_at.is_some() => ("ok", s.l.t("rec-fine")),
        _ => ("watch", s.l.t("rec-first")),
    };
    WorkspaceLine {
        name: name.to_owned(),
        mark,
        state,
        to: full(progress.and_then(|progress| progress.to)),
        passed: full(progress.and_then(|progress| progress.passed_at)),
        next: full(progress.map(|progress| progress.next_at).filter(|at| at.0 > 0)),
    }
}

/// One entry for each kind of notice, however many agents it concerns. Where there are several workspaces, each is named.
fn spots(notices: &[Notice], compared: &[(WorkspaceId, String)], s: &Shell) -> Vec<Spot> {
    let mut kinds: Vec<&str> = Vec::new();
    for notice in notices {
        // Notices of others have no text here.
        if s.l.has(&format!("spot-{}", notice.kind)) && !kinds.contains(&notice.kind.as_str()) {
            kinds.push(&notice.kind);
        }
    }
    let named = |notice: &Notice| {
        let name = compared.iter().find(|(workspace, _)| *workspace == notice.workspace);
        match name.filter(|_| compared.len() > 1 || notice.subject.is_empty()) {
            Some((_, name)) if notice.subject.is_empty() => name.clone(),
            Some((_, name)) => format!("{name}: {}", notice.subject),
            None => notice.subject.clone(),
        }
    };
    let spot = |kind: &str| {
        let of_kind = notices.iter().filter(|notice| notice.kind == kind);
        let mut subjects: Vec<String> = of_kind.map(named).filter(|subject| !subject.is_empty()).collect();
        subjects.sort_unstable();
        let more = subjects.len().saturating_sub(NAMED) as u64;
        subjects.truncate(NAMED);
        Spot {
            title: s.l.t(&format!("spot-{kind}")),
            repair: s.l.t(&format!("repair-{kind}")),
            subjects,
            more: if more == 0 {
                String::new()
            } else {
                s.l.t1("spot-more", "n", format::count(more))
            },
        }
    };
    kinds.into_iter().map(spot).collect()
}

fn finding_line(finding: &Finding, s: &Shell) -> Line {
    let what = finding
        .difference
        .map_or_else(|| DASH.to_owned(), |difference| s.l.t(&format!("find-{}", difference.as_str())));
    let filled = match finding.filled.is_empty() {
        true => String::new(),
        false => s.l.t1("find-filled", "words", finding.filled.join(", ")),
    };
    let done = match (finding.healed_at, finding.problem.is_empty(), filled.is_empty()) {
        (Some(_), _, true) => s.l.t("find-by-itself"),
        (None, false, _) => finding.problem.clone(),
        _ => filled,
    };
    Line {
        place: format::short_id(&finding.call_id),
        href: Some(format!("/calls/call/{}", format::path_segment(&finding.call_id))),
        detail: if finding.agent_id.is_empty() {
            DASH.to_owned()
        } else {
            format::short_id(&finding.agent_id)
        },
        what,
        done,
        ..Line::at(finding.found_at, finding.healed_at.is_some(), s)
    }
}
