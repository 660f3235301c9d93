//! The operator's page of the auditor: how far log, facts and ledger are compared, and every difference with what was done about it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_actors::facts::FactsState;
use trunkline_core::access::Permission;
use trunkline_stores::postgres::auditor::{AuditPosition, Finding, FindingsFilter};
use uuid::Uuid;

use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::findings::{Choice, Findings, Line, SHOWN, link};
use crate::pages::format::{self, DASH};
use crate::pages::shell::{Place, Shell};
use crate::pages::{frame, html};
use crate::state::AppState;

const BASE: &str = "/operator/auditor";

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    open: bool,
    before: String,
}

/// The page.
#[derive(Template)]
#[template(path = "auditor.html")]
pub struct AuditorPage {
    s: Shell,
    partitions_note: String,
    partition_heads: Vec<String>,
    partitions: Vec<Vec<String>>,
    found: Findings,
}

/// `GET /operator/auditor`.
pub async fn auditor(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<AuditQuery>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Operate)?;
    let before = match query.before.as_str() {
        "" => None,
        text => Some(Uuid::parse_str(text).map_err(|_| Problem::not_found())?),
    };
    let filter = FindingsFilter { open: query.open, before };
    let away = |error| Problem::unavailable("read what the auditor found", error);
    let (positions, findings) = futures::join!(
        state.audits.positions(),
        // One more than is shown tells whether there are older ones.
        state.audits.findings(caller.tenant, &filter, SHOWN + 1),
    );
    let (positions, findings) = (positions.map_err(away)?, findings.map_err(away)?);
    let s = frame::shell(&request, &state, &caller, Place::Operator, "auditor", "")?;
    html(
        StatusCode::OK,
        &AuditorPage::of(s, &positions, &state.facts.state(), findings, &query),
    )
}

impl AuditorPage {
    pub(super) fn of(
        s: Shell,
        positions: &[AuditPosition],
        facts: &FactsState,
        mut findings: Vec<Finding>,
        query: &AuditQuery,
    ) -> AuditorPage {
        let choice = |name: &str, open: bool| Choice {
            name: s.l.t(name),
            href: link(BASE, "", open, None),
            selected: query.open == open,
        };
        let has_older = findings.len() > SHOWN as usize;
        findings.truncate(SHOWN as usize);
        let last = findings.last().filter(|_| has_older);
        let heads = ["part-number", "aud-to", "aud-next", "aud-again", "aud-behind", "aud-passed"];
        AuditorPage {
            partitions_note: s.l.t("aud-partitions-note"),
            partition_heads: heads.map(|key| s.l.t(key)).into(),
            partitions: positions.iter().map(|at| cells(at, facts, &s)).collect(),
            found: Findings {
                title: s.l.t("aud-findings"),
                none: s.l.t("aud-findings-none"),
                heads: [s.l.t("aud-offsets"), s.l.t("aud-subject")],
                choices: vec![choice("find-all", false), choice("find-not-healed", true)],
                lines: findings.iter().map(|finding| line(finding, &s)).collect(),
                newest: (!query.before.is_empty()).then(|| link(BASE, "", query.open, None)),
                older: last.map(|last| link(BASE, "", query.open, Some(last.id))),
            },
            s,
        }
    }
}

fn cells(at: &AuditPosition, facts: &FactsState, s: &Shell) -> Vec<String> {
    let full = |at| format::full(at, &s.zone);
    let behind = facts.partitions.get(&at.partition).map(|of| (of.end - at.next).max(0) as u64);
    vec![
        at.partition.to_string(),
        at.to.map_or_else(|| DASH.to_owned(), full),
        at.next.to_string(),
        at.again.to_string(),
        behind.map_or_else(|| DASH.to_owned(), format::count),
        full(at.passed_at),
    ]
}

fn line(finding: &Finding, s: &Shell) -> Line {
    let what = finding
        .kind
        .map_or_else(|| DASH.to_owned(), |kind| s.l.t(&format!("aud-{}", kind.as_str())));
    let difference = match finding.found.is_empty() {
        true => what,
        false => {
            let both = (("expected", finding.expected.as_str()), ("found", finding.found.as_str()));
            format!("{what}: {}", s.l.t2("aud-difference", both.0, both.1))
        }
    };
    Line {
        place: format!("{}:{}–{}", finding.partition, finding.first, finding.last),
        detail: match finding.subject.is_empty() {
            true => DASH.to_owned(),
            false => finding.subject.clone(),
        },
        what: difference,
        done: finding.done.clone(),
        ..Line::at(finding.found_at, finding.repaired_at.is_some(), s)
    }
}
