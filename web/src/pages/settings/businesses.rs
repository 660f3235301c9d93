//! `/settings/businesses`: all of them, and a form for another one.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::access::Permission;
use trunkline_stores::postgres::row::NewBusiness;

use super::{Done, SideItem, Wrong, go, shell, side, zones};
use crate::configure::{business, refused};
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

const HERE: &str = "/settings/businesses";

struct Line {
    href: String,
    name: String,
    zone: String,
    limit: String,
    may_change: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/businesses.html")]
pub struct BusinessesPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    lines: Vec<Line>,
    may_add: bool,
    zones: Vec<String>,
    name: String,
    time_zone: String,
}

/// What the form carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    name: String,
    time_zone: String,
}

/// `GET /settings/businesses`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    caller.sight(Permission::Businesses)?;
    let s = shell(&request, &state, &caller, "set-businesses", HERE)?;
    let filled = Filled {
        time_zone: s.zone_name.clone(),
        ..Filled::default()
    };
    let said = done.said(&s);
    page(&state, &caller, s, said, Wrong::default(), filled).await
}

/// `POST /settings/businesses`.
pub async fn create(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Businesses)?;
    caller.check_form(&form.form_token)?;
    let new = NewBusiness::plain(form.name.clone(), form.time_zone.clone());
    match business::create(&state, &caller, new).await {
        Ok(made) => Ok(go(&format!("{HERE}/{}?done=business-made", made.id))),
        Err(problem) => {
            let s = shell(&request, &state, &caller, "set-businesses", HERE)?;
            let wrong = Wrong::of(&problem, &s);
            page(&state, &caller, s, String::new(), wrong, form.into_inner()).await
        }
    }
}

async fn page(state: &AppState, caller: &Caller, s: Shell, done: String, wrong: Wrong, filled: Filled) -> Result<HttpResponse, Problem> {
    let sight = caller.sight(Permission::Live)?;
    let found = state.config.businesses(caller.tenant, None).await;
    let found = found.map_err(|error| refused("list businesses", error))?;
    let seen = found.into_iter().filter(|business| sight.agents(business.id).is_some());
    let lines = seen.map(|business| Line {
        href: format!("{HERE}/{}", business.id),
        may_change: caller.access.may_in(Permission::Businesses, business.id),
        name: business.name,
        zone: business.zone,
        limit: business
            .concurrency_limit
            .map_or_else(|| format::DASH.to_owned(), |limit| format::count(u64::from(limit))),
    });
    let status = wrong.status();
    let lines = lines.collect();
    html(
        status,
        &BusinessesPage {
            side: side(&s),
            done,
            wrong,
            lines,
            may_add: caller.access.may(Permission::Businesses),
            zones: zones(),
            name: filled.name,
            time_zone: filled.time_zone,
            s,
        },
    )
}
