//! Endpoints of outbound webhooks.

use secrecy::SecretString;
use trunkline_connectors::webhook::{Secret, checked_url};
use trunkline_core::access::Permission;
use trunkline_core::announcement::Topic;
use trunkline_core::id::{BusinessId, EndpointId};
use trunkline_stores::postgres::config::webhooks::{NewWebhook, WebhookChange, WebhookEndpoint};

use super::agents::unknown_business;
use super::refused;
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;

/// An organisation needs few; more are a loop in somebody's script.
const ENDPOINTS_MAX: usize = 50;

/// How long deliveries are signed with the old secret as well after a rotation: a working day for the receiver to follow.
pub const OVERLAP_MS: i64 = 24 * 3_600_000;

/// What an endpoint is or becomes.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Where deliveries go.
    pub url: String,
    /// What is told.
    pub events: Vec<String>,
    /// Of one business, or of all.
    pub business: Option<String>,
    /// Deliveries are made.
    pub enabled: bool,
}

/// Endpoints of the organisation, oldest first.
pub async fn all(state: &AppState, caller: &Caller) -> Result<Vec<WebhookEndpoint>, Problem> {
    caller.needs(Permission::Webhooks)?;
    let found = state.config.webhooks(caller.tenant, None).await;
    found.map_err(|error| refused("list webhook endpoints", error))
}

/// One endpoint of the organisation.
pub async fn find(state: &AppState, caller: &Caller, id: &str) -> Result<WebhookEndpoint, Problem> {
    caller.needs(Permission::Webhooks)?;
    let id: EndpointId = id.parse().map_err(|_| Problem::not_found())?;
    let found = state.config.webhooks(caller.tenant, Some(id)).await;
    let found = found.map_err(|error| refused("read a webhook endpoint", error))?;
    found.into_iter().next().ok_or_else(Problem::not_found)
}

/// Makes an endpoint; gives its secret, which is never shown again.
pub async fn create(state: &AppState, caller: &Caller, draft: &Draft) -> Result<(WebhookEndpoint, SecretString), Problem> {
    let there = all(state, caller).await?;
    let topics = topics(&draft.events)?;
    let business = match &draft.business {
        None => None,
        Some(text) => Some(business(state, caller, text)?),
    };
    check_url(state, caller, &draft.url)?;
    if there.len() >= ENDPOINTS_MAX {
        let detail = format!("There are {ENDPOINTS_MAX} endpoints already; delete one first.");
        return Err(Problem::new(Kind::Unprocessable, detail));
    }
    let secret = Secret::written(rand::random());
    let new = NewWebhook {
        business,
        url: draft.url.trim(),
        events: &topics,
        secret: &secret,
    };
    let id = state
        .config
        .create_webhook(caller.tenant, &caller.by(), &new, now())
        .await
        .map_err(|error| refused("make a webhook endpoint", error))?;
    Ok((find(state, caller, &id.to_string()).await?, secret))
}

/// Changes an endpoint, or switches it on or off.
pub async fn change(state: &AppState, caller: &Caller, id: EndpointId, draft: &Draft) -> Result<WebhookEndpoint, Problem> {
    caller.needs(Permission::Webhooks)?;
    check_url(state, caller, &draft.url)?;
    let topics = topics(&draft.events)?;
    let change = WebhookChange {
        url: draft.url.trim(),
        events: &topics,
        enabled: draft.enabled,
    };
    state
        .config
        .update_webhook(caller.tenant, &caller.by(), id, &change, now())
        .await
        .map_err(|error| refused("change a webhook endpoint", error))?;
    find(state, caller, &id.to_string()).await
}

/// Gives an endpoint another secret, which is never shown again; for a day deliveries are signed with both.
pub async fn rotate(state: &AppState, caller: &Caller, id: EndpointId) -> Result<SecretString, Problem> {
    caller.needs(Permission::Webhooks)?;
    let secret = Secret::written(rand::random());
    state
        .config
        .rotate_webhook_secret(caller.tenant, &caller.by(), id, &secret, now().plus(OVERLAP_MS))
        .await
        .map_err(|error| refused("rotate the secret of a webhook endpoint", error))?;
    Ok(secret)
}

/// Removes an endpoint. What waits for it is not delivered.
pub async fn remove(state: &AppState, caller: &Caller, id: EndpointId) -> Result<(), Problem> {
    caller.needs(Permission::Webhooks)?;
    let done = state.config.delete_webhook(caller.tenant, &caller.by(), id, now()).await;
    done.map_err(|error| refused("remove a webhook endpoint", error))
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
    let id: BusinessId = text.parse().map_err(|_| unknown_business())?;
    if caller.knows(state, id) { Ok(id) } else { Err(unknown_business()) }
}

fn check_url(state: &AppState, caller: &Caller, url: &str) -> Result<(), Problem> {
    checked_url(url, state.settings.webhooks.allow_private_networks)
        .map(drop)
        .map_err(|error| {
            tracing::info!(target: "audit", event = "ssrf.block", tenant = %caller.tenant, request_id = %crate::request::current_id(), "refused");
            Problem::field("url", "blocked_address", format!("url: {error}."))
        })
}
