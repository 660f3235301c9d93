//! `/v1/webhook-endpoints`: where this organisation wants to be told of its calls.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use trunkline_core::access::Permission;
use trunkline_stores::postgres::config::webhooks::WebhookEndpoint;
use utoipa::ToSchema;

use super::etag::{must_match, name_of};
use super::form::{json, moment};
use crate::configure::endpoint::{self, Draft};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// All endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct Endpoints {
    /// Oldest first.
    pub data: Vec<EndpointForm>,
}

/// One endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointForm {
    /// Always `webhook_endpoint`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// Calls of this business only; null: of all.
    pub business_id: Option<String>,
    /// Where deliveries go.
    pub url: String,
    /// What is told: `call.ended`, `call.analyzed`, `chat.ended`, `chat.analyzed`.
    pub events: Vec<String>,
    /// Deliveries are made.
    pub enabled: bool,
    /// Why not.
    pub disabled_reason: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// The first failure since the last success; after 120 hours it is switched off.
    pub failing_since: Option<String>,
    /// What deliveries are signed with (Standard Webhooks); shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What an ETag of an endpoint names: what can be changed, not how deliveries go.
#[derive(Serialize)]
struct Version<'a> {
    id: &'a str,
    url: &'a str,
    events: &'a [String],
    enabled: bool,
}

/// An endpoint to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where deliveries go: https, and public.
    pub url: String,
    /// What is told.
    pub events: Vec<String>,
    /// Calls of this business only.
    #[serde(default)]
    pub business_id: Option<String>,
}

/// What is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointChange {
    /// Where deliveries go.
    #[serde(default)]
    pub url: Option<String>,
    /// What is told.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Whether deliveries are made; true also forgets earlier failures.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Endpoints of the organisation.
#[utoipa::path(tag = "webhooks", operation_id = "listWebhookEndpoints", responses((status = 200, description = "All endpoints", body = Endpoints),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/webhook-endpoints")]
pub async fn list(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<Endpoints>, Problem> {
    let found = endpoint::all(&state, &caller).await?;
    Ok(web::Json(Endpoints {
        data: found.into_iter().map(|endpoint| EndpointForm::of(endpoint, None)).collect(),
    }))
}

/// Makes an endpoint. The answer holds its secret, which is never shown again.
#[utoipa::path(tag = "webhooks", operation_id = "createWebhookEndpoint", request_body = NewEndpoint,
    responses((status = 201, description = "The endpoint, with its secret", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "An address that must not be called, or an event or business that there is not", body = Written)))]
#[post("/v1/webhook-endpoints")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Webhooks)?;
    let new: NewEndpoint = json(&body)?;
    let draft = Draft {
        url: new.url,
        events: new.events,
        business: new.business_id,
        enabled: true,
    };
    let (made, secret) = endpoint::create(&state, &caller, &draft).await?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/webhook-endpoints/{}", made.id)))
        .json(EndpointForm::of(made, Some(secret))))
}

/// One endpoint.
#[utoipa::path(tag = "webhooks", operation_id = "getWebhookEndpoint", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The endpoint", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/webhook-endpoints/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    tagged(endpoint::find(&state, &caller, &path).await?)
}

/// Changes an endpoint, or switches it on or off; `If-Match` is needed.
#[utoipa::path(tag = "webhooks", operation_id = "updateWebhookEndpoint", params(("id" = String, Path, description = "Its id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    request_body = EndpointChange, responses((status = 200, description = "The endpoint", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 412, description = "Changed meanwhile", body = Written),
    (status = 422, description = "An address that must not be called, or an event that there is not", body = Written),
    (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/webhook-endpoints/{id}")]
pub async fn update(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let before = endpoint::find(&state, &caller, &path).await?;
    let change: EndpointChange = json(&body)?;
    must_match(&request, &EndpointForm::of(before.clone(), None).version())?;
    let draft = Draft {
        url: change.url.unwrap_or(before.url),
        events: change.events.unwrap_or(before.events),
        business: None,
        enabled: change.enabled.unwrap_or(before.disabled_at.is_none()),
    };
    tagged(endpoint::change(&state, &caller, before.id, &draft).await?)
}

/// Gives an endpoint another secret. The answer holds it once; for 24 hours deliveries are signed with both, the new one first.
#[utoipa::path(tag = "webhooks", operation_id = "rotateWebhookSecret", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The endpoint, with its new secret", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[post("/v1/webhook-endpoints/{id}/secret")]
pub async fn rotate(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<EndpointForm>, Problem> {
    let found = endpoint::find(&state, &caller, &path).await?;
    let secret = endpoint::rotate(&state, &caller, found.id).await?;
    Ok(web::Json(EndpointForm::of(found, Some(secret))))
}

/// Removes an endpoint; `If-Match` is needed. What waits for it is not delivered.
#[utoipa::path(tag = "webhooks", operation_id = "deleteWebhookEndpoint", params(("id" = String, Path, description = "Its id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be removed")),
    responses((status = 204, description = "It is gone"),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 412, description = "Changed meanwhile", body = Written), (status = 428, description = "No If-Match", body = Written)))]
#[delete("/v1/webhook-endpoints/{id}")]
pub async fn remove(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let found = endpoint::find(&state, &caller, &path).await?;
    must_match(&request, &EndpointForm::of(found.clone(), None).version())?;
    endpoint::remove(&state, &caller, found.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn tagged(endpoint: WebhookEndpoint) -> Result<HttpResponse, Problem> {
    let form = EndpointForm::of(endpoint, None);
    let tag = name_of(&form.version())?;
    Ok(HttpResponse::Ok().insert_header((ETAG, tag)).json(form))
}

impl EndpointForm {
    fn version(&self) -> Version<'_> {
        Version {
            id: &self.id,
            url: &self.url,
            events: &self.events,
            enabled: self.enabled,
        }
    }

    fn of(endpoint: WebhookEndpoint, secret: Option<SecretString>) -> EndpointForm {
        EndpointForm {
            object: "webhook_endpoint",
            id: endpoint.id.to_string(),
            business_id: endpoint.business.map(|business| business.to_string()),
            url: endpoint.url,
            events: endpoint.events,
            enabled: endpoint.disabled_at.is_none(),
            disabled_reason: endpoint.disabled_at.map(|_| endpoint.disabled_reason),
            created_at: moment(endpoint.created_at),
            failing_since: endpoint.failing_since.and_then(moment),
            secret: secret.map(|secret| secret.expose_secret().to_owned()),
        }
    }
}
