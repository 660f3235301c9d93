//! `/settings/workspaces`: linked Retell workspaces, and the form that links another one.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;
use trunkline_stores::postgres::config::workspace::last_four;

use super::{Done, SideItem, Wrong, go, shell, side, zones};
use crate::configure::workspace::{self, Link, Trial};
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::html;
use crate::pages::shell::Shell;
use crate::state::AppState;

const HERE: &str = "/settings/workspaces";

struct Line {
    href: String,
    name: String,
    enabled: bool,
    keys: String,
    api_key: String,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/workspaces.html")]
pub struct WorkspacesPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    lines: Vec<Line>,
    zones: Vec<String>,
    name: String,
    time_zone: String,
}

/// What the form carries. Keys are not given back when something else was wrong: they are never written into a page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    name: String,
    time_zone: String,
    api_key: SecretString,
    signing_key: SecretString,
}

/// `GET /settings/workspaces`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let s = shell(&request, &state, &caller, "set-workspaces", HERE)?;
    let zone = s.zone_name.clone();
    let said = done.said(&s);
    page(&state, &caller, s, said, Wrong::default(), (String::new(), zone)).await
}

/// `POST /settings/workspaces`.
pub async fn link(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(trunkline_core::access::Permission::Workspaces)?;
    let form = form.into_inner();
    caller.check_form(&form.form_token)?;
    let asked = Link {
        name: form.name.clone(),
        time_zone: form.time_zone.clone(),
        api_key: Some(form.api_key),
        signing_key: Some(form.signing_key),
    };
    match workspace::link(&state, &caller, asked).await {
        Ok((made, trial)) => Ok(go(&format!("{HERE}/{}?done={}", made.id, word(trial.as_ref())))),
        Err(problem) => {
            let s = shell(&request, &state, &caller, "set-workspaces", HERE)?;
            let wrong = Wrong::of(&problem, &s);
            page(&state, &caller, s, String::new(), wrong, (form.name, form.time_zone)).await
        }
    }
}

/// Which text says what became of a link.
fn word(trial: Option<&Trial>) -> &'static str {
    match trial {
        Some(Trial::Accepted(_)) => "linked-tested",
        Some(Trial::NoAnswer(_)) => "linked-untested",
        None => "linked",
    }
}

async fn page(
    state: &AppState,
    caller: &Caller,
    s: Shell,
    done: String,
    wrong: Wrong,
    (name, time_zone): (String, String),
) -> Result<HttpResponse, Problem> {
    let found = workspace::all(state, caller).await?;
    let lines = found.iter().map(|workspace| Line {
        href: format!("{HERE}/{}", workspace.id),
        name: workspace.name.clone(),
        enabled: workspace.enabled,
        keys: workspace.signing_keys.iter().map(shown).collect::<Vec<_>>().join(" "),
        api_key: workspace.api_key.as_ref().map(shown).unwrap_or_default(),
    });
    let status = wrong.status();
    let lines = lines.collect();
    html(
        status,
        &WorkspacesPage {
            side: side(&s),
            done,
            wrong,
            lines,
            zones: zones(),
            name,
            time_zone,
            s,
        },
    )
}

/// A key as people recognise it.
pub fn shown(key: &SecretString) -> String {
    format!("…{}", last_four(key))
}
