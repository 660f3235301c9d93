//! People of an organisation: what they may do, and who may say so.

use std::collections::BTreeSet;

use trunkline_core::access::{Access, Agents, Grant, Permission};
use trunkline_core::id::{BusinessId, UserId};
use trunkline_stores::postgres::row::{PersonState, Span, UserListed};

use super::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::state::AppState;

/// Businesses that one person may have roles in; more are a role everywhere.
pub const GRANTS_MAX: usize = 200;

/// Agents that one role in a business may be bound to; the database has the same limit.
pub const AGENTS_MAX: usize = 200;

/// What somebody may do who is in this state.
pub fn access_of(person: &PersonState) -> Access {
    Access::of_person(person.role, &person.grants)
}

/// People of the organisation; one more than asked for says that there are more.
pub async fn list(state: &AppState, caller: &Caller, span: Span) -> Result<Vec<UserListed>, Problem> {
    caller.needs(Permission::People)?;
    let found = state.config.users(caller.tenant, span).await;
    found.map_err(|error| refused("list people", error))
}

/// One person of the organisation; others do not exist.
pub async fn find(state: &AppState, caller: &Caller, id: UserId) -> Result<UserListed, Problem> {
    caller.needs(Permission::People)?;
    let found = state.config.user(caller.tenant, id).await;
    found
        .map_err(|error| refused("read a person", error))?
        .ok_or_else(Problem::not_found)
}

/// Gives a person who is still as `before` says other roles, or stops or lets them sign in.
pub async fn change(state: &AppState, caller: &Caller, before: &UserListed, mut after: PersonState) -> Result<UserListed, Problem> {
    caller.needs(Permission::People)?;
    check_grants(state, caller, &mut after.grants).await?;
    check_rank(caller, &before.state)?;
    check_rank(caller, &after)?;
    if after.disabled && is_self(caller, before.id) {
        return Err(oneself());
    }
    state
        .config
        .change_person(caller.tenant, &caller.by(), before.id, &before.state, &after)
        .await
        .map_err(|error| refused("change a person", error))?;
    find(state, caller, before.id).await
}

/// Removes a person who is still as `before` says.
pub async fn remove(state: &AppState, caller: &Caller, before: &UserListed) -> Result<(), Problem> {
    caller.needs(Permission::People)?;
    check_rank(caller, &before.state)?;
    if is_self(caller, before.id) {
        return Err(oneself());
    }
    state
        .config
        .remove_person(caller.tenant, &caller.by(), before.id, &before.state)
        .await
        .map_err(|error| refused("remove a person", error))
}

/// Ends all sessions of a person; says how many.
pub async fn end_sessions(state: &AppState, caller: &Caller, id: UserId) -> Result<u64, Problem> {
    let person = find(state, caller, id).await?;
    check_rank(caller, &person.state)?;
    let ended = state.config.end_sessions_of(caller.tenant, &caller.by(), id).await;
    ended.map_err(|error| refused("end sessions", error))
}

/// Nobody gives away more than they have, and nobody changes somebody who may do more.
pub fn check_rank(caller: &Caller, person: &PersonState) -> Result<(), Problem> {
    if caller.access.covers(&access_of(person)) {
        return Ok(());
    }
    tracing::info!(target: "audit", event = "authz.role", tenant = %caller.tenant, request_id = %crate::request::current_id(), "refused");
    let detail = "These roles include something that yours do not; ask somebody who has them.";
    Err(Problem::new(Kind::Forbidden, detail))
}

/// Roles in businesses, in order and without nonsense; a business of somebody else is as unknown as one that there is not (S-004).
pub async fn check_grants(state: &AppState, caller: &Caller, grants: &mut [Grant]) -> Result<(), Problem> {
    let mut wrong = Wrong::default();
    if grants.len() > GRANTS_MAX {
        let detail = format!("At most {GRANTS_MAX} businesses; give a role everywhere instead.");
        return Err(Problem::field("/grants", "too_many", detail));
    }
    let known = match grants.is_empty() {
        true => BTreeSet::new(),
        false => businesses(state, caller).await?,
    };
    let mut seen = BTreeSet::new();
    for (place, grant) in grants.iter().enumerate() {
        let at = |field: &str| format!("/grants/{place}/{field}");
        if !known.contains(&grant.business) {
            tracing::info!(target: "audit", event = "authz.cross_ref", tenant = %caller.tenant, request_id = %crate::request::current_id(), "refused");
            wrong.field(&at("business_id"), "unknown_business", "There is no such business.");
        }
        if !seen.insert(grant.business) {
            wrong.field(&at("business_id"), "repeated", "One role in each business.");
        }
        if let Agents::Only(agents) = &grant.agents
            && (agents.len() > AGENTS_MAX
                || agents
                    .iter()
                    .any(|agent| agent.is_empty() || agent.len() > trunkline_core::limit::ID_BYTES))
        {
            let detail = format!("At most {AGENTS_MAX} agents, each by Retell's id.");
            wrong.field(&at("agents"), "bad_agents", detail);
        }
    }
    wrong.end()?;
    // As they are read back, so that a state that was written is the state that is found.
    grants.sort_by_key(|grant| grant.business);
    Ok(())
}

/// Businesses of the organisation.
pub async fn businesses(state: &AppState, caller: &Caller) -> Result<BTreeSet<BusinessId>, Problem> {
    let found = state.config.businesses(caller.tenant, None).await;
    let found = found.map_err(|error| refused("list businesses", error))?;
    Ok(found.into_iter().map(|business| business.id).collect())
}

fn is_self(caller: &Caller, id: UserId) -> bool {
    caller.person().is_some_and(|person| person.user == id)
}

fn oneself() -> Problem {
    Problem::new(Kind::Conflict, "Somebody else has to do this: nobody shuts themselves out.")
}
