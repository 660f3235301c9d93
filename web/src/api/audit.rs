//! `GET /v1/audit`: the record of who did what.

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use serde_json::Value;
use trunkline_core::access::Permission;
use trunkline_core::audit::Actor;
use trunkline_core::id::{KeyId, TenantId, UserId};
use trunkline_stores::postgres::config::deeds::{DeedFilter, Deeded};
use utoipa::ToSchema;
use uuid::Uuid;

use super::calls::turning;
use super::form::{Page, moment};
use super::query::Parameters;
use crate::configure::refused;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// Name of the list in its cursors.
pub const LIST: &str = "audit";

/// One entry: written with the change itself, and never changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Always `audit_entry`.
    pub object: &'static str,
    /// Place in the organisation's chain: 1, 2, 3 ... without gaps.
    pub number: i64,
    /// When.
    pub at: Option<String>,
    /// Who.
    pub actor: ActorForm,
    /// Address the request came from; null when there was none.
    pub source: Option<String>,
    /// Id of the request; null outside one.
    pub request_id: Option<String>,
    /// What was done, for example `person.invite`, `call.view`.
    pub action: String,
    /// To what kind of thing.
    pub target_type: String,
    /// To which one; null where there is none.
    pub target_id: Option<String>,
    /// What it was before, without secrets; null when there was nothing.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What it is now.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// SHA-256 over this entry and the hash of the one before, as 64 hex digits.
    pub hash: String,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorForm {
    /// `person`, `platform` (somebody who runs the platform), `program` (an API key), `visitor` (no credential yet), `operator` (command line) or `system`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which person or key; null for the others.
    pub id: Option<String>,
    /// Name at that time.
    pub name: String,
}

/// Entries of the organisation, newest first.
#[utoipa::path(tag = "audit", operation_id = "listAuditEntries", params(
    ("actor" = Option<String>, Query, description = "Id of a person (usr_...) or an API key (key_...)"),
    ("action" = Option<String>, Query, description = "An action such as call.view, or a group of them such as call"),
    ("target_type" = Option<String>, Query, description = "Kind of thing: user, api_key, call, ..."),
    ("target_id" = Option<String>, Query, description = "Id of the thing"),
    ("from" = Option<String>, Query, description = "Not before this moment"),
    ("to" = Option<String>, Query, description = "Before this moment"),
    ("q" = Option<String>, Query, description = "Part of the actor's name, the action, the thing's id or the address"),
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after"),
), responses((status = 200, description = "Entries", body = Page<AuditEntry>),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "A filter is refused", body = Written)))]
#[get("/v1/audit")]
pub async fn entries(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<AuditEntry>>, Problem> {
    caller.needs(Permission::Audit)?;
    page(&state, &caller, &request, (caller.tenant, LIST)).await.map(web::Json)
}

/// A page of the record of an organisation, which the caller may read, as the request asks for it.
pub async fn page(
    state: &AppState,
    caller: &Caller,
    request: &HttpRequest,
    (tenant, list): (TenantId, &str),
) -> Result<Page<AuditEntry>, Problem> {
    let mut parameters = Parameters::of(request)?;
    let limit = parameters.limit()?;
    let turning = turning(&mut parameters, caller, state, list)?;
    let filter = filter(&mut parameters)?;
    parameters.end()?;
    let page = state
        .config
        .deeds(tenant, &filter, &turning, limit)
        .await
        .map_err(|error| refused("read the record of deeds", error))?;
    let seal = |number: i64| state.cursors.seal(caller.tenant, list, &number.to_string());
    Ok(Page {
        data: page.entries.into_iter().map(AuditEntry::of).collect(),
        has_more: page.older.is_some(),
        next_cursor: page.older.map(seal),
        previous_cursor: page.newer.map(seal),
    })
}

fn filter(parameters: &mut Parameters) -> Result<DeedFilter, Problem> {
    Ok(DeedFilter {
        actor: parameters.text("actor")?.map(|text| actor(&text)).transpose()?,
        action: parameters.text("action")?,
        object: parameters.text("target_type")?,
        object_id: parameters.text("target_id")?,
        from: parameters.moment("from")?,
        to: parameters.moment("to")?,
        words: parameters.text("q")?,
    })
}

/// The person or key of a public id.
pub fn actor(text: &str) -> Result<Uuid, Problem> {
    let person = text.parse::<UserId>().map(|user| user.0);
    person.or_else(|_| text.parse::<KeyId>().map(|key| key.0)).map_err(|_| {
        let detail = format!(
            "actor must be the id of a person ({}...) or of an API key ({}...).",
            UserId::PREFIX,
            KeyId::PREFIX
        );
        Problem::field("actor", "unreadable", detail)
    })
}

impl AuditEntry {
    /// As sent and exported.
    pub fn of(deed: Deeded) -> AuditEntry {
        let Deeded { entry, hash } = deed;
        let some = |text: String| (!text.is_empty()).then_some(text);
        let json = |text: &str| serde_json::from_str(text).ok();
        AuditEntry {
            object: "audit_entry",
            number: entry.number,
            at: moment(entry.at),
            actor: ActorForm {
                id: Actor::read(&entry.actor, entry.actor_id).and_then(|actor| match actor {
                    Actor::Person(user) | Actor::Platform(user) => Some(user.to_string()),
                    Actor::Program(key) => Some(key.to_string()),
                    _ => None,
                }),
                kind: entry.actor,
                name: entry.actor_name,
            },
            source: some(entry.source),
            request_id: some(entry.request),
            action: entry.action,
            target_type: entry.object,
            target_id: some(entry.object_id),
            before: json(&entry.before),
            after: json(&entry.after),
            hash: hex::encode(hash),
        }
    }
}
