//! `/settings/workspaces/{id}`: its address, whether events arrive, its keys, limits and agents.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use trunkline_core::access::Permission;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::Workspace;

use super::workspaces::shown;
use super::{Done, SideItem, Wrong, go, number, shell, side};
use crate::api::workspaces::tag;
use crate::configure::agents::{self, AgentSeen, unknown_business};
use crate::configure::workspace::{self, Change, SIGNING_KEYS_MAX, Trial, key_id, webhook_url};
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

/// What a form of the page carries: which one it is stands in the address.
type Filled = HashMap<String, String>;

struct KeyLine {
    id: String,
    shown: String,
}

struct Choice {
    id: String,
    name: String,
    selected: bool,
}

struct AgentLine {
    id: String,
    name: String,
    heard: String,
    conversations: String,
    mapped: bool,
    choices: Vec<Choice>,
}

/// Whether events arrive: looks again by itself until the first one is there.
#[derive(Template)]
#[template(path = "settings/arrival.html")]
pub struct Arrival {
    s: Shell,
    here: String,
    enabled: bool,
    /// When the first event came; empty: none yet.
    first: String,
    /// And the last one.
    last: String,
    /// ClickHouse does not answer.
    unknown: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/workspace.html")]
pub struct WorkspacePage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    here: String,
    heading: String,
    enabled: bool,
    webhook_url: String,
    arrival: String,
    keys: Vec<KeyLine>,
    may_add_key: bool,
    api_key: String,
    revision: String,
    name: String,
    sources: String,
    rate: String,
    agents: Vec<AgentLine>,
    unmapped: usize,
    retell_answered: bool,
    heard_known: bool,
}

/// What stands on the page beside the workspace.
#[derive(Default)]
struct Told {
    done: String,
    wrong: Wrong,
    filled: Filled,
}

/// `GET /settings/workspaces/{id}`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let found = workspace::find(&state, &caller, &path).await?;
    let s = shell(&request, &state, &caller, "set-workspaces", &address(&found))?;
    let said = done.said(&s);
    page(
        &request,
        &state,
        &caller,
        s,
        &found,
        Told {
            done: said,
            ..Told::default()
        },
    )
    .await
}

/// `GET /settings/workspaces/{id}/arrival`: the part that looks again.
pub async fn arrival(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let found = workspace::find(&state, &caller, &path).await?;
    html(StatusCode::OK, &arrived(&request, &state, &caller, &found).await?)
}

/// `POST /settings/workspaces/{id}/{act}`.
pub async fn act(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Workspaces)?;
    caller.check_form(form.get("form_token").map(String::as_str).unwrap_or_default())?;
    let before = workspace::find(&state, &caller, &path.0).await?;
    match done(&state, &caller, &before, &path.1, &form).await {
        Ok(word) => Ok(go(&format!("{}?done={word}", address(&before)))),
        Err(problem) if problem.errors().is_empty() && problem.kind() != Kind::Precondition => Err(problem),
        Err(problem) => {
            let s = shell(&request, &state, &caller, "set-workspaces", &address(&before))?;
            let wrong = Wrong::of(&problem, &s);
            page(
                &request,
                &state,
                &caller,
                s,
                &before,
                Told {
                    wrong,
                    filled: form.into_inner(),
                    ..Told::default()
                },
            )
            .await
        }
    }
}

/// Does what a form asks for; gives the word of the text that says so.
async fn done(state: &AppState, caller: &Caller, before: &Workspace, act: &str, form: &Filled) -> Result<&'static str, Problem> {
    let value = |field: &str| form.get(field).map(|text| text.trim()).unwrap_or_default();
    let change = async |change: Change| workspace::change(state, caller, before, change).await;
    Ok(match act {
        "save" => {
            // The form was filled in against this state; another one would be overwritten unseen.
            if value("revision") != tag(state, before)? {
                return Err(Problem::new(Kind::Precondition, "It was changed meanwhile."));
            }
            let sources = value("allowed_sources").split(|c: char| c == ',' || c.is_whitespace());
            let asked = Change {
                name: Some(value("name").to_owned()),
                allowed_sources: Some(sources.map(str::to_owned).collect()),
                events_per_second: Some(number(value("events_per_second"), "events_per_second")?),
                ..Change::default()
            };
            change(asked).await?;
            "workspace-saved"
        }
        "enable" | "disable" => {
            let enabled = act == "enable";
            let asked = Change {
                enabled: Some(enabled),
                ..Change::default()
            };
            change(asked).await?;
            if enabled { "workspace-enabled" } else { "workspace-disabled" }
        }
        "api-key" => {
            if value("api_key").is_empty() {
                return Err(Problem::field("/api_key", "no_key", "A key is needed."));
            }
            let asked = Change {
                api_key: Some(Some(SecretString::from(value("api_key").to_owned()))),
                ..Change::default()
            };
            match change(asked).await?.1 {
                Some(Trial::NoAnswer(_)) => "key-untested",
                _ => "key-tested",
            }
        }
        "forget-api-key" => {
            let asked = Change {
                api_key: Some(None),
                ..Change::default()
            };
            change(asked).await?;
            "key-forgotten"
        }
        "add-key" => {
            if value("key").is_empty() {
                return Err(Problem::field("/key", "no_key", "A key is needed."));
            }
            workspace::add_signing_key(state, caller, before, SecretString::from(value("key").to_owned())).await?;
            "signing-added"
        }
        "remove-key" => {
            workspace::remove_signing_key(state, caller, before, value("key_id")).await?;
            "signing-removed"
        }
        "map" => {
            let business = match value("business") {
                "" => None,
                id => Some(id.parse().map_err(|_| unknown_business())?),
            };
            agents::map(state, caller, before, value("agent"), business).await?;
            "agent-mapped"
        }
        _ => return Err(Problem::not_found()),
    })
}

fn address(workspace: &Workspace) -> String {
    format!("/settings/workspaces/{}", workspace.id)
}

async fn arrived(request: &HttpRequest, state: &AppState, caller: &Caller, workspace: &Workspace) -> Result<Arrival, Problem> {
    let s = shell(request, state, caller, "set-workspaces", &address(workspace))?;
    let events = state
        .analytics
        .workspace_events(caller.tenant, workspace.id, workspace.created_at)
        .await;
    let unknown = events.is_err();
    let events = events.ok().flatten();
    let moment = |at: i64| format::full(Millis(at), &s.zone);
    Ok(Arrival {
        here: address(workspace),
        enabled: workspace.enabled,
        first: events.map(|events| moment(events.first_at)).unwrap_or_default(),
        last: events.map(|events| moment(events.last_at)).unwrap_or_default(),
        unknown,
        s,
    })
}

async fn page(
    request: &HttpRequest,
    state: &AppState,
    caller: &Caller,
    s: Shell,
    workspace: &Workspace,
    told: Told,
) -> Result<HttpResponse, Problem> {
    let Told { done, wrong, filled } = told;
    let (arrival, agents) = futures::join!(arrived(request, state, caller, workspace), agents::all(state, caller, workspace));
    let arrival = arrival?.render().map_err(|error| Problem::internal("render a page", error))?;
    let agents = agents?;
    let typed = |field: &str, kept: String| filled.get(field).cloned().unwrap_or(kept);
    let businesses = businesses(state, caller, workspace);
    let status = wrong.status();
    let rate = workspace.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default();
    let unmapped = agents.all.iter().filter(|agent| agent.business.is_none()).count();
    let lines = agents.all.iter().map(|agent| AgentLine::of(agent, &businesses, &s)).collect();
    let key = |key: &SecretString| KeyLine {
        id: key_id(key),
        shown: shown(key),
    };
    html(
        status,
        &WorkspacePage {
            side: side(&s),
            done,
            wrong,
            here: address(workspace),
            heading: workspace.name.clone(),
            enabled: workspace.enabled,
            webhook_url: webhook_url(state, workspace),
            arrival,
            keys: workspace.signing_keys.iter().map(key).collect(),
            may_add_key: workspace.signing_keys.len() < SIGNING_KEYS_MAX,
            api_key: workspace.api_key.as_ref().map(shown).unwrap_or_default(),
            revision: tag(state, workspace)?,
            name: typed("name", workspace.name.clone()),
            sources: typed("allowed_sources", workspace.allowed_sources.join("\n")),
            rate: typed("events_per_second", rate),
            agents: lines,
            unmapped,
            retell_answered: agents.retell_answered,
            heard_known: agents.heard_known,
            s,
        },
    )
}

/// Businesses to choose from, by name; Unassigned is what an agent without a business has.
fn businesses(state: &AppState, caller: &Caller, workspace: &Workspace) -> Vec<(String, String)> {
    let directory = state.directory.borrow();
    let catches: Vec<_> = directory.unassigned.values().copied().collect();
    let own = directory
        .businesses
        .iter()
        .filter(|(id, entry)| entry.tenant == caller.tenant && !catches.contains(id));
    let mut all: Vec<(String, String)> = own
        .filter(|(id, _)| **id != workspace.unassigned)
        .map(|(id, entry)| (id.to_string(), entry.name.clone()))
        .collect();
    all.sort_by_key(|(_, name)| name.to_lowercase());
    all
}

impl AgentLine {
    fn of(agent: &AgentSeen, businesses: &[(String, String)], s: &Shell) -> AgentLine {
        let own = agent.business.map(|business| business.to_string());
        let choices = businesses.iter().map(|(id, name)| Choice {
            id: id.clone(),
            name: name.clone(),
            selected: own.as_ref() == Some(id),
        });
        AgentLine {
            id: agent.id.clone(),
            name: if agent.name.is_empty() {
                agent.id.clone()
            } else {
                agent.name.clone()
            },
            heard: agent
                .last_heard
                .map_or_else(|| format::DASH.to_owned(), |at| format::full(at, &s.zone)),
            conversations: format::count(agent.conversations),
            mapped: agent.business.is_some(),
            choices: choices.collect(),
        }
    }
}
