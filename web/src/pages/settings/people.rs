//! `/settings/people`: who works here, who is invited, and a form to invite somebody.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::access::{Access, Agents, Grant, Permission, Role};
use trunkline_core::id::InvitationId;
use trunkline_stores::postgres::row::{InvitationListed, Span, UserListed};

use super::roles::word;
use super::{Done, SideItem, Wrong, go, shell, side};
use crate::configure::{invitations, people};
use crate::error::Problem;
use crate::identity::Caller;
use crate::identity::session::now;
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

const HERE: &str = "/settings/people";

/// People and invitations on the page; longer lists are for the API.
const SHOWN: u32 = 500;

struct Line {
    href: String,
    name: String,
    email: String,
    role: String,
    seen: String,
    disabled: bool,
}

struct InvitationLine {
    id: String,
    email: String,
    role: String,
    status: String,
    open: bool,
    until: String,
}

/// Something to choose in a form.
pub struct Choice {
    /// Its value.
    pub value: String,
    /// Its word.
    pub label: String,
    /// Chosen now.
    pub selected: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/people.html")]
pub struct PeoplePage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    link: String,
    lines: Vec<Line>,
    invitations: Vec<InvitationLine>,
    roles: Vec<Choice>,
    businesses: Vec<Choice>,
    email: String,
    name: String,
}

/// What the form carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    email: String,
    name: String,
    role: String,
    business: String,
}

/// What a button carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pressed {
    form_token: String,
}

/// What is to be said above the lists.
#[derive(Default)]
struct Said {
    done: String,
    link: String,
    wrong: Wrong,
}

/// `GET /settings/people`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::People)?;
    let s = shell(&request, &state, &caller, "set-people", HERE)?;
    let said = Said {
        done: done.said(&s),
        ..Said::default()
    };
    page(&state, &caller, s, said, Filled::default()).await
}

/// `POST /settings/people`: invites somebody.
pub async fn invite(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::People)?;
    caller.check_form(&form.form_token)?;
    let s = shell(&request, &state, &caller, "set-people", HERE)?;
    let form = form.into_inner();
    let role = form.role.parse::<Role>().ok();
    // With a business the role holds there; without, everywhere.
    let grants = match (form.business.parse(), role) {
        (Ok(business), Some(role)) => vec![Grant {
            business,
            role,
            agents: Agents::All,
        }],
        _ => Vec::new(),
    };
    let draft = invitations::Draft {
        email: form.email.clone(),
        name: form.name.clone(),
        role: role.filter(|_| grants.is_empty()),
        grants,
        lang: s.l.lang.to_owned(),
    };
    match invitations::create(&state, &caller, draft).await {
        Ok((_, None)) => Ok(go(&format!("{HERE}?done=invited"))),
        Ok((_, Some(link))) => {
            let said = Said { link, ..Said::default() };
            page(&state, &caller, s, said, Filled::default()).await
        }
        Err(problem) => {
            let said = Said {
                wrong: Wrong::of(&problem, &s),
                ..Said::default()
            };
            page(&state, &caller, s, said, form).await
        }
    }
}

/// `POST /settings/people/invitations/{id}/{act}`: sends an invitation again, or revokes it.
pub async fn act(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: web::Form<Pressed>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::People)?;
    caller.check_form(&form.form_token)?;
    let (id, act) = path.into_inner();
    let id: InvitationId = id.parse().map_err(|_| Problem::not_found())?;
    let s = shell(&request, &state, &caller, "set-people", HERE)?;
    let outcome = match act.as_str() {
        "resend" => invitations::renew(&state, &caller, id, s.l.lang)
            .await
            .map(|(_, link)| (link, "invited")),
        "revoke" => invitations::revoke(&state, &caller, id).await.map(|()| (None, "uninvited")),
        _ => return Err(Problem::not_found()),
    };
    let said = match outcome {
        Ok((None, done)) => return Ok(go(&format!("{HERE}?done={done}"))),
        Ok((Some(link), _)) => Said { link, ..Said::default() },
        Err(problem) => Said {
            wrong: Wrong::of(&problem, &s),
            ..Said::default()
        },
    };
    page(&state, &caller, s, said, Filled::default()).await
}

/// Roles that the caller may give, with the chosen one.
pub fn roles(s: &Shell, caller: &Caller, chosen: Option<Role>) -> Vec<Choice> {
    let given = |role: &Role| Some(*role) == chosen || caller.access.covers(&Access::of_person(Some(*role), &[]));
    let choice = |role: Role| Choice {
        value: role.as_str().to_owned(),
        label: word(s.l, role),
        selected: Some(role) == chosen,
    };
    Role::ALL.into_iter().filter(given).map(choice).collect()
}

/// Businesses of the organisation by name.
pub async fn businesses(state: &AppState, caller: &Caller, chosen: &str) -> Result<Vec<Choice>, Problem> {
    let known = people::businesses(state, caller).await?;
    let directory = state.directory.borrow();
    let choice = |id: trunkline_core::id::BusinessId| Choice {
        label: directory
            .businesses
            .get(&id)
            .map_or_else(|| id.to_string(), |entry| entry.name.clone()),
        selected: id.to_string() == chosen,
        value: id.to_string(),
    };
    let mut choices: Vec<Choice> = known.into_iter().map(choice).collect();
    choices.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(choices)
}

/// Roles in words: the one everywhere, or how many businesses.
fn in_words(s: &Shell, role: Option<Role>, grants: &[Grant]) -> String {
    match role {
        Some(role) => word(s.l, role),
        None => s.l.t1("people-grants", "n", grants.len()),
    }
}

async fn page(state: &AppState, caller: &Caller, s: Shell, said: Said, filled: Filled) -> Result<HttpResponse, Problem> {
    let found = people::list(state, caller, Span::first(SHOWN)).await?;
    let invited = invitations::list(state, caller, Span::first(SHOWN)).await?;
    let line = |person: UserListed| Line {
        href: format!("{HERE}/{}", person.id),
        role: in_words(&s, person.state.role, &person.state.grants),
        seen: person
            .last_seen_at
            .map_or_else(|| format::DASH.to_owned(), |at| format::full(at, &s.zone)),
        disabled: person.state.disabled,
        name: person.name,
        email: person.email,
    };
    let mut lines: Vec<Line> = found.into_iter().map(line).collect();
    lines.sort_by(|a, b| (&a.name, &a.email).cmp(&(&b.name, &b.email)));
    let invitation = |listed: InvitationListed| InvitationLine {
        id: listed.id.to_string(),
        role: in_words(&s, listed.role, &listed.grants),
        status: s.l.t(&format!("invitation-{}", listed.status(now()))),
        open: listed.is_open(),
        until: format::full(listed.expires_at, &s.zone),
        email: listed.email,
    };
    // Those that were accepted are people now.
    let open = invited.into_iter().filter(|listed| listed.accepted_at.is_none());
    let invitations = open.rev().map(invitation).collect();
    let status = said.wrong.status();
    let chosen = filled.role.parse().ok();
    html(
        status,
        &PeoplePage {
            side: side(&s),
            done: said.done,
            wrong: said.wrong,
            link: said.link,
            lines,
            invitations,
            roles: roles(&s, caller, chosen.or(Some(Role::Viewer))),
            businesses: businesses(state, caller, &filled.business).await?,
            email: filled.email,
            name: filled.name,
            s,
        },
    )
}
