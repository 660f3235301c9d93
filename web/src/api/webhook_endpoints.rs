//! `/v1/webhook-endpoints`: where this organisation wants to be told of its calls.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use trunkline_connectors::webhook::{Secret, checked_url};
use trunkline_core::announcement::Topic;
use trunkline_core::id::{BusinessId, EndpointId};
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::webhooks::{NewWebhook, WebhookChange, WebhookEndpoint};
use utoipa::ToSchema;

use super::form::moment;
use crate::error::{Kind, Problem, Written};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;
use trunkline_core::access::Permission;

/// An organisation needs few; more are a loop in somebody's script.
const ENDPOINTS_MAX: usize = 50;

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
    /// What deliveries are signed with (Standard Webhooks); shown once, when the endpoint is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
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
    caller.needs(Permission::Webhooks)?;
    let found = state.config.webhooks(caller.tenant, None).await;
    let found = found.map_err(|error| refused("list webhook endpoints", error))?;
    Ok(web::Json(Endpoints {
        data: found.into_iter().map(EndpointForm::of).collect(),
    }))
}

/// Makes an endpoint. The answer holds its secret, which is never shown again.
#[utoipa::path(tag = "webhooks", operation_id = "createWebhookEndpoint", request_body = NewEndpoint,
    responses((status = 201, description = "The endpoint, with its secret", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "An address that must not be called, or an event that there is not", body = Written)))]
#[post("/v1/webhook-endpoints")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Webhooks)?;
    let new: NewEndpoint = read(&body)?;
    let topics = topics(&new.events)?;
    let business = match &new.business_id {
        None => None,
        Some(text) => Some(business(&state, &caller, text)?),
    };
    check_url(&state, &caller, &new.url)?;
    let there = state.config.webhooks(caller.tenant, None).await;
    if there.map_err(|error| refused("count webhook endpoints", error))?.len() >= ENDPOINTS_MAX {
        let detail = format!("There are {ENDPOINTS_MAX} endpoints already; delete one first.");
        return Err(Problem::new(Kind::Unprocessable, detail));
    }
    let secret = Secret::written(rand::random());
    let endpoint = NewWebhook {
        business,
        url: new.url.trim(),
        events: &topics,
        secret: &secret,
    };
    let id = state
        .config
        .create_webhook(caller.tenant, &endpoint, now())
        .await
        .map_err(|error| refused("make a webhook endpoint", error))?;
    let mut form = one(&state, &caller, id).await?;
    form.secret = Some(secret.expose_secret().to_owned());
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/webhook-endpoints/{id}")))
        .json(form))
}

/// One endpoint.
#[utoipa::path(tag = "webhooks", operation_id = "getWebhookEndpoint", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The endpoint", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/webhook-endpoints/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<EndpointForm>, Problem> {
    caller.needs(Permission::Webhooks)?;
    one(&state, &caller, id(&path)?).await.map(web::Json)
}

/// Changes an endpoint, or switches it on or off.
#[utoipa::path(tag = "webhooks", operation_id = "updateWebhookEndpoint", params(("id" = String, Path, description = "Its id")),
    request_body = EndpointChange, responses((status = 200, description = "The endpoint", body = EndpointForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 422, description = "An address that must not be called, or an event that there is not", body = Written)))]
#[patch("/v1/webhook-endpoints/{id}")]
pub async fn update(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<web::Json<EndpointForm>, Problem> {
    caller.needs(Permission::Webhooks)?;
    let id = id(&path)?;
    let change: EndpointChange = read(&body)?;
    let before = one(&state, &caller, id).await?;
    let url = change.url.unwrap_or(before.url);
    check_url(&state, &caller, &url)?;
    let events = change.events.unwrap_or(before.events);
    let topics = topics(&events)?;
    let change = WebhookChange {
        url: url.trim(),
        events: &topics,
        enabled: change.enabled.unwrap_or(before.enabled),
    };
    state
        .config
        .update_webhook(caller.tenant, id, &change, now())
        .await
        .map_err(|error| refused("change a webhook endpoint", error))?;
    one(&state, &caller, id).await.map(web::Json)
}

/// Removes an endpoint. What waits for it is not delivered.
#[utoipa::path(tag = "webhooks", operation_id = "deleteWebhookEndpoint", params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is gone"),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[delete("/v1/webhook-endpoints/{id}")]
pub async fn remove(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Webhooks)?;
    state
        .config
        .delete_webhook(caller.tenant, id(&path)?, now())
        .await
        .map_err(|error| refused("remove a webhook endpoint", error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// A body as JSON; what it is not is said.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Problem::new(Kind::Unprocessable, format!("The body is not what is taken here: {error}."))
        } else {
            Problem::new(Kind::BadRequest, format!("The body is no JSON: {error}."))
        }
    })
}

fn id(path: &str) -> Result<EndpointId, Problem> {
    path.parse().map_err(|_| Problem::not_found())
}

fn topics(events: &[String]) -> Result<Vec<&'static str>, Problem> {
    let possible = Topic::ALL.map(Topic::as_str).join(", ");
    if events.is_empty() {
        let detail = format!("events names nothing; possible: {possible}.");
        return Err(Problem::field("events", "empty", detail));
    }
    let mut topics = Vec::new();
    for event in events {
        let topic = Topic::parse(event).ok_or_else(|| {
            let detail = format!("events has no value \"{event}\"; possible: {possible}.");
            Problem::field("events", "unknown_value", detail)
        })?;
        if !topics.contains(&topic.as_str()) {
            topics.push(topic.as_str());
        }
    }
    Ok(topics)
}

fn business(state: &AppState, caller: &Caller, text: &str) -> Result<BusinessId, Problem> {
    let id: BusinessId = text
        .parse()
        .map_err(|error| Problem::field("business_id", "unreadable", format!("business_id: {error}.")))?;
    let directory = state.directory.borrow();
    let ours = directory.businesses.get(&id).is_some_and(|entry| entry.tenant == caller.tenant);
    if ours { Ok(id) } else { Err(Problem::not_found()) }
}

fn check_url(state: &AppState, caller: &Caller, url: &str) -> Result<(), Problem> {
    checked_url(url, state.settings.webhooks.allow_private_networks)
        .map(drop)
        .map_err(|error| {
            tracing::info!(target: "audit", event = "ssrf.block", tenant = %caller.tenant, request_id = %crate::request::current_id(), "refused");
            Problem::field("url", "blocked_address", format!("url: {error}."))
        })
}

async fn one(state: &AppState, caller: &Caller, id: EndpointId) -> Result<EndpointForm, Problem> {
    let found = state.config.webhooks(caller.tenant, Some(id)).await;
    let found = found.map_err(|error| refused("read a webhook endpoint", error))?;
    found.into_iter().next().map(EndpointForm::of).ok_or_else(Problem::not_found)
}

/// What Postgres did not do, as an answer.
pub fn refused(attempted: &'static str, error: PostgresError) -> Problem {
    match error {
        PostgresError::Missing { .. } => Problem::not_found(),
        PostgresError::Unavailable { .. } => Problem::unavailable(attempted, error),
        other => Problem::internal(attempted, other),
    }
}

impl EndpointForm {
    fn of(endpoint: WebhookEndpoint) -> EndpointForm {
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
            secret: None,
        }
    }
}
