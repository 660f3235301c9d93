//! API keys: never more than whoever makes them may do.

use trunkline_core::access::{Access, Permission, Permissions, Reach};
use trunkline_core::id::{BusinessId, KeyId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::{ApiKeyListed, Span};

use super::people::businesses;
use super::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::identity::key::{self, Wanted};
use crate::identity::session::now;
use crate::state::AppState;

/// Businesses that one key may be bound to; the database has the same limit.
const BUSINESSES_MAX: usize = 200;

/// A key to be made, as asked for.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// What it is for.
    pub name: String,
    /// Scopes in words.
    pub scopes: Vec<String>,
    /// Where; empty: everywhere.
    pub businesses: Vec<BusinessId>,
    /// Not accepted from then on.
    pub expires_at: Option<Millis>,
}

/// Keys of the organisation; one more than asked for says that there are more.
pub async fn list(state: &AppState, caller: &Caller, span: Span) -> Result<Vec<ApiKeyListed>, Problem> {
    caller.needs(Permission::Keys)?;
    let found = state.config.api_keys(caller.tenant, span).await;
    found.map_err(|error| refused("list API keys", error))
}

/// One key.
pub async fn find(state: &AppState, caller: &Caller, id: KeyId) -> Result<ApiKeyListed, Problem> {
    caller.needs(Permission::Keys)?;
    let found = state.config.api_key(caller.tenant, id).await;
    found
        .map_err(|error| refused("read an API key", error))?
        .ok_or_else(Problem::not_found)
}

/// Makes a key; its text is in the answer and nowhere else.
pub async fn create(state: &AppState, caller: &Caller, draft: Draft) -> Result<(ApiKeyListed, String), Problem> {
    caller.needs(Permission::Keys)?;
    let mut wrong = Wrong::default();
    let name = wrong.name("/name", &draft.name);
    let permissions = scopes(&draft, &mut wrong);
    if draft.expires_at.is_some_and(|at| at <= now()) {
        wrong.field("/expires_at", "past", "It would have expired already; name a later moment.");
    }
    if draft.businesses.len() > BUSINESSES_MAX {
        wrong.field(
            "/businesses",
            "too_many",
            format!("At most {BUSINESSES_MAX} businesses; leave them out for all."),
        );
    } else if !draft.businesses.is_empty() {
        let known = businesses(state, caller).await?;
        for (place, business) in draft.businesses.iter().enumerate() {
            if !known.contains(business) {
                wrong.field(&format!("/businesses/{place}"), "unknown_business", "There is no such business.");
            }
        }
    }
    wrong.end()?;
    if !caller.access.covers(&Access::of_program(permissions, &draft.businesses)) {
        tracing::info!(target: "audit", event = "authz.role", tenant = %caller.tenant, request_id = %crate::request::current_id(), "refused");
        let detail = "The key would be allowed something that you are not; choose fewer scopes.";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let wanted = Wanted {
        name,
        permissions,
        businesses: draft.businesses,
        expires_at: draft.expires_at,
        environment: state.settings.server.environment,
    };
    let (id, text) = key::create(&state.config, caller.tenant, &caller.by(), wanted)
        .await
        .map_err(|error| refused("make an API key", error))?;
    Ok((find(state, caller, id).await?, text))
}

/// Stops accepting a key. One that was revoked before stays as it is.
pub async fn revoke(state: &AppState, caller: &Caller, id: KeyId) -> Result<(), Problem> {
    if find(state, caller, id).await?.revoked_at.is_some() {
        return Ok(());
    }
    let revoked = state.config.revoke_api_key(caller.tenant, &caller.by(), id).await;
    revoked.map_err(|error| refused("revoke an API key", error))
}

fn scopes(draft: &Draft, wrong: &mut Wrong) -> Permissions {
    if draft.scopes.is_empty() {
        wrong.field("/scopes", "empty", "Name at least one scope.");
    }
    let mut found = Vec::new();
    for (place, scope) in draft.scopes.iter().enumerate() {
        let at = format!("/scopes/{place}");
        match scope.parse::<Permission>() {
            Err(error) => wrong.field(&at, "unknown_scope", format!("{error}.")),
            Ok(permission) if permission.reach() == Reach::Organisation && !draft.businesses.is_empty() => {
                let detail = format!("{scope} holds everywhere or not at all; leave businesses out, or the scope.");
                wrong.field(&at, "not_in_a_business", detail);
            }
            Ok(permission) => found.push(permission),
        }
    }
    found.into_iter().collect()
}
