//! Screens without a seat: their links, and pairing by a code.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::access::Permission;

use super::{SideItem, go, shell, side};
use crate::api::tv_links::{NewLink, make, take_back, theirs};
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::pages::shell::{Scope, Shell};
use crate::pages::{format, frame, html};
use crate::state::AppState;

/// The page's address.
const HERE: &str = "/settings/screens";

struct Line {
    id: String,
    name: String,
    board: String,
    expires: String,
    seen_machine: String,
    seen: String,
    state: String,
    mark: &'static str,
    active: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/screens.html")]
pub struct ScreensPage {
    s: Shell,
    side: Vec<SideItem>,
    lines: Vec<Line>,
    choices: Vec<Scope>,
    /// Links of the whole organisation may be made.
    whole: bool,
    /// Where a screen finds its code.
    tv: String,
    /// Address of the link just made, shown this once.
    made: String,
    paired: bool,
    wrong: String,
    name: String,
}

/// What the form carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    name: String,
    business: String,
    agent: String,
    direction: String,
    code: String,
}

#[derive(Default)]
struct Shown {
    made: String,
    paired: bool,
    wrong: String,
    name: String,
}

/// `GET /settings/screens`.
pub async fn show(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    page(&caller, &request, &state, Shown::default()).await
}

/// `POST /settings/screens`: makes a link, for the screen with the typed code or to be opened by its address.
pub async fn create(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.check_form(&form.form_token)?;
    let form = form.into_inner();
    let l = crate::pages::shell::texts_of(&request);
    let refusal = |wrong: &str| Shown {
        wrong: l.t(wrong),
        name: form.name.clone(),
        ..Shown::default()
    };
    if !form.code.is_empty() && !state.pairings.waits(&form.code) {
        return page(&caller, &request, &state, refusal("screen-code-wrong")).await;
    }
    let new = NewLink {
        name: form.name.clone(),
        business_id: Some(form.business.clone()),
        agent_id: Some(form.agent.trim().to_owned()),
        direction: Some(form.direction.clone()),
        days: None,
    };
    let (_, token) = match make(&caller, &state, new).await {
        Ok(made) => made,
        Err(problem) if problem.kind() == Kind::Unprocessable => {
            return page(&caller, &request, &state, refusal("screen-wrong")).await;
        }
        Err(problem) => return Err(problem),
    };
    let paired = !form.code.is_empty() && state.pairings.give(&form.code, &token);
    let made = if paired {
        String::new()
    } else {
        format!("{}/tv/{token}", state.settings.server.origin())
    };
    let shown = Shown {
        made,
        paired,
        ..Shown::default()
    };
    page(&caller, &request, &state, shown).await
}

/// `POST /settings/screens/{id}/revoke`.
pub async fn revoke(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.check_form(&form.form_token)?;
    take_back(&caller, &state, &path).await?;
    Ok(go(HERE))
}

async fn page(caller: &Caller, request: &HttpRequest, state: &AppState, shown: Shown) -> Result<HttpResponse, Problem> {
    let links = theirs(caller, state).await?;
    let mut choices = frame::shell(request, state, caller, crate::pages::shell::Place::Settings, "set-screens", "")?.businesses;
    let sight = caller.access.sight(Permission::Links);
    choices.retain(|choice| choice.id.parse().is_ok_and(|id| sight.agents(id).is_some()));
    let s = shell(request, state, caller, "set-screens", HERE)?;
    let at = now();
    let lines = links
        .into_iter()
        .map(|link| {
            let business = link.business.and_then(|id| frame::business_name(state, id));
            let whole = s.l.t("scope-all-businesses");
            let direction = link.direction.as_ref().map(|word| s.l.t(&format!("way-{word}")));
            let board = [Some(business.unwrap_or(whole)), link.agent.clone(), direction];
            let active = link.holds(at);
            Line {
                id: link.id.to_string(),
                board: board.into_iter().flatten().collect::<Vec<_>>().join(" · "),
                expires: format::full(link.expires_at, &s.zone),
                seen_machine: link.seen_at.map(format::machine).unwrap_or_default(),
                seen: link
                    .seen_at
                    .map_or_else(|| s.l.t("screen-never"), |seen| format::full(seen, &s.zone)),
                state: s.l.t(if active {
                    "screen-on"
                } else if link.revoked {
                    "screen-revoked"
                } else {
                    "screen-expired"
                }),
                mark: if active { "ok" } else { "" },
                active,
                name: link.name,
            }
        })
        .collect();
    let status = if shown.wrong.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    html(
        status,
        &ScreensPage {
            side: side(&s),
            lines,
            choices,
            whole: caller.access.may(Permission::Links),
            tv: format!("{}/tv", state.settings.server.origin()),
            made: shown.made,
            paired: shown.paired,
            wrong: shown.wrong,
            name: shown.name,
            s,
        },
    )
}
