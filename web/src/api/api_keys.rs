//! `/v1/api-keys`: programs that may ask.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trunkline_core::access::Permission;
use trunkline_core::id::{BusinessId, KeyId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::ApiKeyListed;
use utoipa::ToSchema;

use super::form::{Page, json, moment};
use super::paging;
use super::query::Parameters;
use crate::configure::{Wrong, keys};
use crate::error::{Problem, Written};
use crate::identity::{Caller, key};
use crate::settings::Environment;
use crate::state::AppState;

/// Name of the list in its cursors.
const LIST: &str = "api-keys";

/// An API key; its text is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyForm {
    /// Always `api_key`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it begins with.
    pub prefix: &'static str,
    /// Its last four characters.
    pub last_four: String,
    /// What it may do; see `/v1/permissions`.
    pub scopes: Vec<String>,
    /// Where; none: everywhere in the organisation.
    pub businesses: Vec<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// Name of who made it; null: the command line, a program, or somebody who has left.
    pub created_by: Option<String>,
    /// When it was used, to the minute.
    pub last_used_at: Option<String>,
    /// Not accepted from then on.
    pub expires_at: Option<String>,
    /// Since when it is not accepted.
    pub revoked_at: Option<String>,
    /// The key itself: in the answer that made it and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyDraft {
    /// What it is for.
    pub name: String,
    /// What it may do: scopes of `/v1/permissions`, none that you lack.
    pub scopes: Vec<String>,
    /// Where; none: everywhere in the organisation.
    #[serde(default)]
    pub businesses: Vec<String>,
    /// Not accepted from then on (RFC 3339); null: for ever.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// API keys of the organisation, oldest first, revoked ones included.
#[utoipa::path(tag = "api-keys", operation_id = "listApiKeys", params(
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after")),
    responses((status = 200, description = "Keys", body = Page<ApiKeyForm>), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 422, description = "A parameter that cannot be", body = Written)))]
#[get("/v1/api-keys")]
pub async fn list(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<ApiKeyForm>>, Problem> {
    caller.needs(Permission::Keys)?;
    let mut parameters = Parameters::of(&request)?;
    let span = paging::span(&mut parameters, &state, &caller, LIST)?;
    parameters.end()?;
    let found = keys::list(&state, &caller, span).await?;
    let environment = state.settings.server.environment;
    let page = paging::page(
        (&state, &caller, LIST),
        &span,
        found,
        |key| key.id.0,
        |key| ApiKeyForm::of(environment, key, None),
    );
    Ok(web::Json(page))
}

/// Makes a key. The answer holds its text, which is never shown again.
#[utoipa::path(tag = "api-keys", operation_id = "createApiKey", request_body = ApiKeyDraft, params(
    ("Idempotency-Key" = Option<String>, Header, description = "The same request under the same key is done once")),
    responses((status = 201, description = "The key, with its text", body = ApiKeyForm),
    (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed, or more than the caller may", body = Written),
    (status = 422, description = "A field that cannot be", body = Written)))]
#[post("/v1/api-keys")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Keys)?;
    let draft: ApiKeyDraft = json(&body)?;
    let mut wrong = Wrong::default();
    let mut businesses: Vec<BusinessId> = Vec::with_capacity(draft.businesses.len());
    for (place, text) in draft.businesses.iter().enumerate() {
        match text.parse() {
            Ok(id) => businesses.push(id),
            Err(error) => wrong.field(&format!("/businesses/{place}"), "unreadable", format!("{error}.")),
        }
    }
    let expires_at = match draft.expires_at.as_deref().map(str::parse::<Timestamp>) {
        None => None,
        Some(Ok(at)) => Some(Millis(at.as_millisecond())),
        Some(Err(_)) => {
            wrong.field("/expires_at", "not_a_moment", "Write a moment such as 2027-01-31T00:00:00Z.");
            None
        }
    };
    wrong.end()?;
    let draft = keys::Draft {
        name: draft.name,
        scopes: draft.scopes,
        businesses,
        expires_at,
    };
    let (made, text) = keys::create(&state, &caller, draft).await?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/api-keys/{}", made.id)))
        .json(ApiKeyForm::of(state.settings.server.environment, made, Some(text))))
}

/// One key.
#[utoipa::path(tag = "api-keys", operation_id = "getApiKey", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The key", body = ApiKeyForm), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/api-keys/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<ApiKeyForm>, Problem> {
    let found = keys::find(&state, &caller, id(&caller, &path)?).await?;
    Ok(web::Json(ApiKeyForm::of(state.settings.server.environment, found, None)))
}

/// Stops accepting a key, at once; streams that it opened end within five seconds.
#[utoipa::path(tag = "api-keys", operation_id = "revokeApiKey", params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is no longer accepted"), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "Not there", body = Written)))]
#[delete("/v1/api-keys/{id}")]
pub async fn revoke(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    keys::revoke(&state, &caller, id(&caller, &path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn id(caller: &Caller, path: &str) -> Result<KeyId, Problem> {
    caller.needs(Permission::Keys)?;
    path.parse().map_err(|_| Problem::not_found())
}

impl ApiKeyForm {
    fn of(environment: Environment, listed: ApiKeyListed, text: Option<String>) -> ApiKeyForm {
        ApiKeyForm {
            object: "api_key",
            id: listed.id.to_string(),
            name: listed.name,
            prefix: key::prefix(environment),
            last_four: listed.last_four,
            scopes: listed.scopes,
            businesses: listed.businesses.iter().map(|business| business.to_string()).collect(),
            created_at: moment(listed.created_at),
            created_by: listed.created_by,
            last_used_at: listed.last_used_at.and_then(moment),
            expires_at: listed.expires_at.and_then(moment),
            revoked_at: listed.revoked_at.and_then(moment),
            key: text,
        }
    }
}
