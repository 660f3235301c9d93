//! `/settings/keys`: API keys of the organisation, and a form for another one.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use trunkline_core::access::Permission;
use trunkline_core::id::KeyId;
use trunkline_stores::postgres::row::{ApiKeyListed, Span};

use super::people::{Choice, businesses};
use super::roles::meaning;
use super::{Done, SideItem, Wrong, go, shell, side};
use crate::configure::keys;
use crate::error::Problem;
use crate::identity::session::now;
use crate::identity::{Caller, key};
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

const HERE: &str = "/settings/keys";

/// Keys on the page; longer lists are for the API.
const SHOWN: u32 = 500;

/// Days that a key may be given to live; nothing: for ever.
const LIVES: [u32; 3] = [30, 90, 365];

struct Line {
    id: String,
    name: String,
    hint: String,
    scopes: String,
    made_by: String,
    used: String,
    until: String,
    accepted: bool,
}

struct ScopeChoice {
    scope: &'static str,
    meaning: String,
    ticked: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/keys.html")]
pub struct KeysPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    key: String,
    lines: Vec<Line>,
    name: String,
    scopes: Vec<ScopeChoice>,
    businesses: Vec<Choice>,
    lives: [u32; 3],
}

/// Fields of the form; scopes and businesses come once for each that is ticked.
type Filled = Vec<(String, String)>;

fn all<'a>(form: &'a Filled, name: &'a str) -> impl Iterator<Item = &'a str> {
    form.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
}

fn one<'a>(form: &'a Filled, name: &'a str) -> &'a str {
    all(form, name).next().unwrap_or_default()
}

/// `GET /settings/keys`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Keys)?;
    let s = shell(&request, &state, &caller, "set-keys", HERE)?;
    let done = done.said(&s);
    page(&state, &caller, s, (done, String::new()), Wrong::default(), &Filled::new()).await
}

/// `POST /settings/keys`.
pub async fn create(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Keys)?;
    caller.check_form(one(&form, "form_token"))?;
    let s = shell(&request, &state, &caller, "set-keys", HERE)?;
    let days: Option<u32> = one(&form, "days").parse().ok();
    let draft = keys::Draft {
        name: one(&form, "name").to_owned(),
        scopes: all(&form, "scopes").map(str::to_owned).collect(),
        businesses: all(&form, "businesses").filter_map(|id| id.parse().ok()).collect(),
        expires_at: days.map(|days| now().plus(i64::from(days) * 86_400_000)),
    };
    match keys::create(&state, &caller, draft).await {
        Ok((_, text)) => page(&state, &caller, s, (String::new(), text), Wrong::default(), &Filled::new()).await,
        Err(problem) => {
            let wrong = Wrong::of(&problem, &s);
            page(&state, &caller, s, Default::default(), wrong, &form).await
        }
    }
}

/// `POST /settings/keys/{id}/revoke`.
pub async fn revoke(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Keys)?;
    caller.check_form(one(&form, "form_token"))?;
    let id: KeyId = path.parse().map_err(|_| Problem::not_found())?;
    keys::revoke(&state, &caller, id).await?;
    Ok(go(&format!("{HERE}?done=key-revoked")))
}

async fn page(
    state: &AppState,
    caller: &Caller,
    s: Shell,
    (done, key): (String, String),
    wrong: Wrong,
    form: &Filled,
) -> Result<HttpResponse, Problem> {
    let found = keys::list(state, caller, Span::first(SHOWN)).await?;
    let line = |listed: ApiKeyListed| Line {
        id: listed.id.to_string(),
        hint: format!("{}…{}", key::prefix(state.settings.server.environment), listed.last_four),
        scopes: listed.scopes.join(", "),
        accepted: listed.holds(now()),
        used: listed
            .last_used_at
            .map_or_else(|| format::DASH.to_owned(), |at| format::full(at, &s.zone)),
        until: listed
            .expires_at
            .map_or_else(|| format::DASH.to_owned(), |at| format::full(at, &s.zone)),
        made_by: listed.created_by.unwrap_or_else(|| format::DASH.to_owned()),
        name: listed.name,
    };
    let lines = found.into_iter().rev().map(line).collect();
    let scope = |permission: Permission| ScopeChoice {
        scope: permission.scope(),
        meaning: meaning(s.l, permission),
        ticked: all(form, "scopes").any(|scope| scope == permission.scope()),
    };
    let held = Permission::ALL.into_iter().filter(|permission| caller.access.may(*permission));
    let scopes = held.map(scope).collect();
    let mut businesses = businesses(state, caller, "").await?;
    for business in &mut businesses {
        business.selected = all(form, "businesses").any(|id| id == business.value);
    }
    let status = wrong.status();
    html(
        status,
        &KeysPage {
            side: side(&s),
            done,
            wrong,
            key,
            lines,
            name: one(form, "name").to_owned(),
            scopes,
            businesses,
            lives: LIVES,
            s,
        },
    )
}
