//! `/platform/organisations/{id}`: one organisation: name, plan, limits; suspending it; opening its data for a while.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::id::TenantId;
use trunkline_core::platform::PlatformPermission;
use trunkline_stores::postgres::row::{OpeningListed, OrganisationState};

use super::{Line, shell, words};
use crate::api::platform::tag;
use crate::configure::platform::{self, Seen};
use crate::configure::refused;
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::pages::settings::{Done, Wrong, go, number};
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

/// Openings shown, newest first.
const OPENINGS_SHOWN: u32 = 10;

struct OpeningLine {
    who: String,
    reason: String,
    since_machine: String,
    since: String,
    until: String,
    in_force: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "platform/organisation.html")]
pub struct OrganisationPage {
    s: Shell,
    done: String,
    wrong: Wrong,
    line: Line,
    problems: Vec<String>,
    id: String,
    created: String,
    revision: String,
    /// Since when and why it is suspended, in words; empty when it is not.
    suspended: String,
    form: Filled,
    openings: Vec<OpeningLine>,
    minutes: String,
}

/// What the forms carry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    revision: String,
    name: String,
    plan: String,
    intake_per_second: String,
    concurrent_calls: String,
    api_keys_max: String,
    reason: String,
    code: String,
}

/// `GET /platform/organisations/{id}`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let seen = found(&state, &caller, &path).await?;
    let s = shell(&request, &state, &caller, &address(&seen))?;
    let form = written(&seen.listed.state);
    let done = done.said(&s);
    page(&state, s, &seen, form, done, Wrong::default()).await
}

/// `POST /platform/organisations/{id}`: name, plan and limits.
pub async fn save(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Organisations)?;
    let before = found(&state, &caller, &path).await?;
    caller.check_form(&form.form_token)?;
    let asked = async {
        // The form was filled in against this state; another one would be overwritten unseen.
        if form.revision != tag(&before.listed)? {
            return Err(Problem::new(Kind::Precondition, "It was changed meanwhile."));
        }
        let after = OrganisationState {
            name: form.name.clone(),
            plan: form.plan.clone(),
            intake_per_second: number(&form.intake_per_second, "intake_per_second")?,
            concurrency_limit: number(&form.concurrent_calls, "concurrent_calls")?,
            api_keys_max: number(&form.api_keys_max, "api_keys_max")?,
            ..before.listed.state.clone()
        };
        platform::change(&state, &caller, &before.listed, after).await
    };
    match asked.await {
        Ok(()) => Ok(go(&format!("{}?done=organisation-saved", address(&before)))),
        Err(problem) => again(&state, &caller, &request, &before, form.into_inner(), &problem).await,
    }
}

/// `POST /platform/organisations/{id}/{act}`: suspend, resume, open.
pub async fn act(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let needed = match path.1.as_str() {
        "open" => PlatformPermission::Open,
        _ => PlatformPermission::Organisations,
    };
    caller.needs_platform(needed)?;
    let before = found(&state, &caller, &path.0).await?;
    caller.check_form(&form.form_token)?;
    let listed = &before.listed;
    let asked = match path.1.as_str() {
        "suspend" => {
            let after = platform::suspended(&listed.state, Some(&form.reason));
            platform::change(&state, &caller, listed, after)
                .await
                .map(|()| "organisation-suspended")
        }
        "resume" => {
            let after = platform::suspended(&listed.state, None);
            platform::change(&state, &caller, listed, after)
                .await
                .map(|()| "organisation-resumed")
        }
        "open" => match platform::open(&state, &caller, listed.id, &form.reason, &form.code).await {
            Ok(_) => return Ok(go("/wall")),
            Err(problem) => Err(problem),
        },
        _ => return Err(Problem::not_found()),
    };
    match asked {
        Ok(word) => Ok(go(&format!("{}?done={word}", address(&before)))),
        Err(problem) => {
            let form = Filled {
                reason: form.reason.clone(),
                ..written(&listed.state)
            };
            again(&state, &caller, &request, &before, form, &problem).await
        }
    }
}

/// The page with what was typed and what is wrong with it.
async fn again(
    state: &AppState,
    caller: &Caller,
    request: &HttpRequest,
    seen: &Seen,
    form: Filled,
    problem: &Problem,
) -> Result<HttpResponse, Problem> {
    if problem.kind().status().is_server_error() {
        return Err(problem.clone());
    }
    let s = shell(request, state, caller, &address(seen))?;
    let wrong = Wrong::of(problem, &s);
    page(state, s, seen, form, String::new(), wrong).await
}

async fn found(state: &AppState, caller: &Caller, id: &str) -> Result<Seen, Problem> {
    caller.needs_platform(PlatformPermission::Overview)?;
    let id: TenantId = id.parse().map_err(|_| Problem::not_found())?;
    platform::find(state, caller, id).await
}

fn address(seen: &Seen) -> String {
    format!("/platform/organisations/{}", seen.listed.id)
}

fn written(state: &OrganisationState) -> Filled {
    let text = |limit: Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    Filled {
        name: state.name.clone(),
        plan: state.plan.clone(),
        intake_per_second: text(state.intake_per_second),
        concurrent_calls: text(state.concurrency_limit),
        api_keys_max: text(state.api_keys_max),
        ..Filled::default()
    }
}

async fn page(state: &AppState, s: Shell, seen: &Seen, form: Filled, done: String, wrong: Wrong) -> Result<HttpResponse, Problem> {
    let listed = &seen.listed;
    let openings = state.config.openings(listed.id, OPENINGS_SHOWN).await;
    let openings = openings.map_err(|error| refused("list openings", error))?;
    let suspended = listed.state.suspended_at.map(|at| {
        let since = format::full(at, &s.zone);
        s.l.t2(
            "platform-suspended-since",
            ("time", since),
            ("words", listed.state.suspended_why.clone()),
        )
    });
    let status = if wrong.any() { wrong.status() } else { StatusCode::OK };
    html(
        status,
        &OrganisationPage {
            done,
            wrong,
            line: Line::of(seen, &s),
            problems: words(&seen.problems, &s),
            id: listed.id.to_string(),
            created: format::full(listed.created_at, &s.zone),
            revision: tag(listed)?,
            suspended: suspended.unwrap_or_default(),
            form,
            openings: openings.into_iter().map(|opening| OpeningLine::of(opening, &s)).collect(),
            minutes: state.settings.platform.opening_minutes.to_string(),
            s,
        },
    )
}

impl OpeningLine {
    fn of(opening: OpeningListed, s: &Shell) -> OpeningLine {
        OpeningLine {
            in_force: opening.holds(now()),
            since_machine: format::machine(opening.created_at),
            since: format::full(opening.created_at, &s.zone),
            until: format::full(opening.ended_at.unwrap_or(opening.expires_at), &s.zone),
            who: opening.opened_name,
            reason: opening.reason,
        }
    }
}
