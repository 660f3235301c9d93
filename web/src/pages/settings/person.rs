//! `/settings/people/{id}`: what one person may do, and what can be done about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use trunkline_core::access::{Agents, Grant, Permission, Role};
use trunkline_core::id::UserId;
use trunkline_stores::postgres::row::{PersonState, UserListed};

use super::people::{Choice, businesses, roles};
use super::{Done, SideItem, Wrong, go, shell, side};
use crate::api::people::tag;
use crate::configure::people;
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

struct BusinessLine {
    id: String,
    name: String,
    roles: Vec<Choice>,
    agents: String,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/person.html")]
pub struct PersonPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    here: String,
    /// Which state the forms are about.
    was: String,
    name: String,
    email: String,
    disabled: bool,
    sessions: u64,
    seen: String,
    roles: Vec<Choice>,
    lines: Vec<BusinessLine>,
}

/// Fields of the form by name; those of businesses end in the business's id.
type Filled = BTreeMap<String, String>;

/// `GET /settings/people/{id}`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let person = people::find(&state, &caller, id(&path)?).await?;
    let s = shell(&request, &state, &caller, "set-people", &here(person.id))?;
    let done = done.said(&s);
    page(&state, &caller, s, &person, done, Wrong::default()).await
}

/// `POST /settings/people/{id}`: gives other roles.
pub async fn save(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let before = prepare(&state, &caller, &path, &form).await?;
    let outcome = match unchanged(&before, &form) {
        Ok(()) => people::change(&state, &caller, &before, wanted(&before, &form)).await,
        Err(problem) => Err(problem),
    };
    end(&state, &caller, &request, before.id, outcome.map(|_| "person-saved")).await
}

/// `POST /settings/people/{id}/{act}`: stops or lets somebody sign in, ends their sessions, removes them.
pub async fn act(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let (text, act) = path.into_inner();
    let before = prepare(&state, &caller, &text, &form).await?;
    let disabled = |disabled: bool| PersonState {
        disabled,
        ..before.state.clone()
    };
    let outcome = match (act.as_str(), unchanged(&before, &form)) {
        ("end-sessions", _) => people::end_sessions(&state, &caller, before.id).await.map(|_| "sessions-ended"),
        (_, Err(problem)) => Err(problem),
        ("disable", Ok(())) => people::change(&state, &caller, &before, disabled(true))
            .await
            .map(|_| "person-disabled"),
        ("enable", Ok(())) => people::change(&state, &caller, &before, disabled(false))
            .await
            .map(|_| "person-enabled"),
        ("remove", Ok(())) => match people::remove(&state, &caller, &before).await {
            Ok(()) => return Ok(go("/settings/people?done=person-removed")),
            Err(problem) => Err(problem),
        },
        _ => return Err(Problem::not_found()),
    };
    end(&state, &caller, &request, before.id, outcome).await
}

fn id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

fn here(id: UserId) -> String {
    format!("/settings/people/{id}")
}

async fn prepare(state: &AppState, caller: &Caller, text: &str, form: &Filled) -> Result<UserListed, Problem> {
    caller.needs(Permission::People)?;
    caller.check_form(form.get("form_token").map_or("", String::as_str))?;
    people::find(state, caller, id(text)?).await
}

/// Refuses a form that is about a state that is gone.
fn unchanged(before: &UserListed, form: &Filled) -> Result<(), Problem> {
    if form.get("was") == Some(&tag(before)?) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Precondition,
        "It was changed meanwhile; read it again and repeat the change.",
    ))
}

fn wanted(before: &UserListed, form: &Filled) -> PersonState {
    let role = |field: &str| form.get(field).and_then(|word| word.parse::<Role>().ok());
    let grants = form.keys().filter_map(|name| {
        let id = name.strip_prefix("role_")?;
        let agents = form.get(&format!("agents_{id}")).map_or("", String::as_str);
        let agents: BTreeSet<Arc<str>> = agents.split([',', ' ']).filter(|part| !part.is_empty()).map(Arc::from).collect();
        Some(Grant {
            business: id.parse().ok()?,
            role: role(name)?,
            agents: if agents.is_empty() { Agents::All } else { Agents::Only(agents) },
        })
    });
    PersonState {
        role: role("role"),
        grants: grants.collect(),
        disabled: before.state.disabled,
    }
}

/// The page after a form: with what was done, or with what was wrong.
async fn end(
    state: &AppState,
    caller: &Caller,
    request: &HttpRequest,
    id: UserId,
    outcome: Result<&'static str, Problem>,
) -> Result<HttpResponse, Problem> {
    match outcome {
        Ok(done) => Ok(go(&format!("{}?done={done}", here(id)))),
        Err(problem) => {
            let person = people::find(state, caller, id).await?;
            let s = shell(request, state, caller, "set-people", &here(id))?;
            let wrong = Wrong::of(&problem, &s);
            page(state, caller, s, &person, String::new(), wrong).await
        }
    }
}

async fn page(
    state: &AppState,
    caller: &Caller,
    s: Shell,
    person: &UserListed,
    done: String,
    wrong: Wrong,
) -> Result<HttpResponse, Problem> {
    let line = |business: Choice| {
        let grant = person
            .state
            .grants
            .iter()
            .find(|grant| grant.business.to_string() == business.value);
        let agents: Vec<String> = match grant.map(|grant| &grant.agents) {
            Some(Agents::Only(agents)) => agents.iter().map(|agent| agent.to_string()).collect(),
            _ => Vec::new(),
        };
        BusinessLine {
            roles: roles(&s, caller, grant.map(|grant| grant.role)),
            agents: agents.join(", "),
            name: business.label,
            id: business.value,
        }
    };
    let lines = businesses(state, caller, "").await?.into_iter().map(line).collect();
    let status = wrong.status();
    html(
        status,
        &PersonPage {
            side: side(&s),
            done,
            wrong,
            here: here(person.id),
            was: tag(person)?,
            name: person.name.clone(),
            email: person.email.clone(),
            disabled: person.state.disabled,
            sessions: person.sessions,
            seen: person
                .last_seen_at
                .map_or_else(|| format::DASH.to_owned(), |at| format::full(at, &s.zone)),
            roles: roles(&s, caller, person.state.role),
            lines,
            s,
        },
    )
}
