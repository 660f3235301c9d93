//! `/v1/people`: who works for the organisation, and what they may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::id::{BusinessId, UserId};
use trunkline_stores::postgres::row::{PersonState, UserListed};
use utoipa::ToSchema;

use super::etag::{must_match, name_of};
use super::form::{Page, given, json, moment};
use super::paging;
use super::query::Parameters;
use crate::configure::{Wrong, people};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// Name of the list in its cursors.
const LIST: &str = "people";

/// Somebody who may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonForm {
    /// Always `person`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// The address they sign in with.
    pub email: String,
    /// Name as shown.
    pub name: String,
    /// Role everywhere in the organisation: `owner`, `admin`, `supervisor`, `analyst`, `viewer`; null: none.
    pub role: Option<String>,
    /// Roles in single businesses.
    pub grants: Vec<GrantForm>,
    /// True: may not sign in.
    pub disabled: bool,
    /// Since when.
    pub created_at: Option<String>,
    /// Last request of a session that still lives, to the minute.
    pub last_seen_at: Option<String>,
    /// Sessions that have not been ended.
    pub sessions: u64,
}

/// A role in one business.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantForm {
    /// Where.
    pub business_id: String,
    /// `owner`, `admin`, `supervisor`, `analyst` or `viewer`.
    pub role: String,
    /// For these agents only, by Retell's id; none: for all.
    #[serde(default)]
    pub agents: Vec<String>,
}

/// What is to be changed; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonChange {
    /// Another role everywhere; null: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub role: Option<Option<String>>,
    /// All roles in single businesses anew.
    #[serde(default)]
    pub grants: Option<Vec<GrantForm>>,
    /// True: may not sign in, and all sessions end.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// What became of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsEnded {
    /// How many there were.
    pub ended: u64,
}

/// What an ETag of a person names: what can be changed, not when they were seen.
#[derive(Serialize)]
struct Version<'a> {
    id: &'a str,
    role: Option<&'a str>,
    grants: &'a [GrantForm],
    disabled: bool,
}

/// People of the organisation, oldest first.
#[utoipa::path(tag = "people", operation_id = "listPeople", params(
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after")),
    responses((status = 200, description = "People", body = Page<PersonForm>), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 422, description = "A parameter that cannot be", body = Written)))]
#[get("/v1/people")]
pub async fn list(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<PersonForm>>, Problem> {
    caller.needs(trunkline_core::access::Permission::People)?;
    let mut parameters = Parameters::of(&request)?;
    let span = paging::span(&mut parameters, &state, &caller, LIST)?;
    parameters.end()?;
    let found = people::list(&state, &caller, span).await?;
    let page = paging::page((&state, &caller, LIST), &span, found, |person| person.id.0, PersonForm::of);
    Ok(web::Json(page))
}

/// One person.
#[utoipa::path(tag = "people", operation_id = "getPerson", params(("id" = String, Path, description = "Their id")),
    responses((status = 200, description = "The person, with the ETag of what can be changed", body = PersonForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written)))]
#[get("/v1/people/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let person = people::find(&state, &caller, id(&caller, &path)?).await?;
    tagged(PersonForm::of(person))
}

/// Gives a person other roles, or stops or lets them sign in; `If-Match` is needed. Nobody gives away more than they have, and the last
/// owner stays one. Open pages and streams follow within five seconds.
#[utoipa::path(tag = "people", operation_id = "updatePerson", params(("id" = String, Path, description = "Their id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    request_body = PersonChange, responses((status = 200, description = "The person", body = PersonForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written), (status = 409, description = "The last owner, or oneself", body = Written),
    (status = 412, description = "Changed meanwhile", body = Written), (status = 422, description = "A field that cannot be", body = Written),
    (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/people/{id}")]
pub async fn update(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let before = people::find(&state, &caller, id(&caller, &path)?).await?;
    let change: PersonChange = json(&body)?;
    must_match(&request, &PersonForm::of(before.clone()).version())?;
    let mut wrong = Wrong::default();
    let after = PersonState {
        role: match &change.role {
            None => before.state.role,
            Some(asked) => role(asked.as_deref(), &mut wrong),
        },
        grants: match &change.grants {
            None => before.state.grants.clone(),
            Some(asked) => grants(asked, &mut wrong),
        },
        disabled: change.disabled.unwrap_or(before.state.disabled),
    };
    wrong.end()?;
    tagged(PersonForm::of(people::change(&state, &caller, &before, after).await?))
}

/// Removes a person; `If-Match` is needed. Their sessions end at once; API keys that they made stay.
#[utoipa::path(tag = "people", operation_id = "removePerson", params(("id" = String, Path, description = "Their id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be removed")),
    responses((status = 204, description = "They are gone"),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written), (status = 409, description = "The last owner, or oneself", body = Written),
    (status = 412, description = "Changed meanwhile", body = Written), (status = 428, description = "No If-Match", body = Written)))]
#[delete("/v1/people/{id}")]
pub async fn remove(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let before = people::find(&state, &caller, id(&caller, &path)?).await?;
    must_match(&request, &PersonForm::of(before.clone()).version())?;
    people::remove(&state, &caller, &before).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all sessions of a person: they have to sign in again everywhere.
#[utoipa::path(tag = "people", operation_id = "endSessions", params(("id" = String, Path, description = "Their id"),
    ("Idempotency-Key" = Option<String>, Header, description = "The same request under the same key is done once")),
    responses((status = 200, description = "How many there were", body = SessionsEnded),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written)))]
#[post("/v1/people/{id}/end-sessions")]
pub async fn end_sessions(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
) -> Result<web::Json<SessionsEnded>, Problem> {
    let ended = people::end_sessions(&state, &caller, id(&caller, &path)?).await?;
    Ok(web::Json(SessionsEnded { ended }))
}

/// Whoever may not ask at all learns nothing from the form of an id.
fn id(caller: &Caller, path: &str) -> Result<UserId, Problem> {
    caller.needs(trunkline_core::access::Permission::People)?;
    path.parse().map_err(|_| Problem::not_found())
}

fn tagged(form: PersonForm) -> Result<HttpResponse, Problem> {
    let tag = name_of(&form.version())?;
    Ok(HttpResponse::Ok().insert_header((ETAG, tag)).json(form))
}

/// The name of the state of a person that a change is meant for.
pub fn tag(person: &UserListed) -> Result<String, Problem> {
    name_of(&PersonForm::of(person.clone()).version())
}

/// A role in words; null is none.
pub fn role(word: Option<&str>, wrong: &mut Wrong) -> Option<Role> {
    word?
        .parse()
        .map_err(|error: trunkline_core::access::BadRole| wrong.field("/role", "unknown_role", format!("{error}.")))
        .ok()
}

/// Roles in businesses as asked for.
pub fn grants(forms: &[GrantForm], wrong: &mut Wrong) -> Vec<Grant> {
    let mut found = Vec::with_capacity(forms.len());
    for (place, form) in forms.iter().enumerate() {
        let business = form.business_id.parse::<BusinessId>();
        let role = form.role.parse::<Role>();
        if let Err(error) = &business {
            wrong.field(&format!("/grants/{place}/business_id"), "unreadable", format!("{error}."));
        }
        if let Err(error) = &role {
            wrong.field(&format!("/grants/{place}/role"), "unknown_role", format!("{error}."));
        }
        if let (Ok(business), Ok(role)) = (business, role) {
            let agents: BTreeSet<Arc<str>> = form.agents.iter().map(|agent| Arc::from(agent.trim())).collect();
            let agents = if agents.is_empty() { Agents::All } else { Agents::Only(agents) };
            found.push(Grant { business, role, agents });
        }
    }
    found
}

impl GrantForm {
    /// A role in a business as shown.
    pub fn of(grant: &Grant) -> GrantForm {
        GrantForm {
            business_id: grant.business.to_string(),
            role: grant.role.as_str().to_owned(),
            agents: match &grant.agents {
                Agents::All => Vec::new(),
                Agents::Only(agents) => agents.iter().map(|agent| agent.to_string()).collect(),
            },
        }
    }
}

impl PersonForm {
    fn of(person: UserListed) -> PersonForm {
        PersonForm {
            object: "person",
            id: person.id.to_string(),
            email: person.email,
            name: person.name,
            role: person.state.role.map(|role| role.as_str().to_owned()),
            grants: person.state.grants.iter().map(GrantForm::of).collect(),
            disabled: person.state.disabled,
            created_at: moment(person.created_at),
            last_seen_at: person.last_seen_at.and_then(moment),
            sessions: person.sessions,
        }
    }

    fn version(&self) -> Version<'_> {
        Version {
            id: &self.id,
            role: self.role.as_deref(),
            grants: &self.grants,
            disabled: self.disabled,
        }
    }
}
