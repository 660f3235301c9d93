//! The organisation itself: how its people sign in.

use trunkline_core::access::Permission;
use trunkline_stores::postgres::config::second_factor::Whom;

use super::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::state::AppState;

/// Its name, and who of it has to have a second factor.
pub async fn rule(state: &AppState, caller: &Caller) -> Result<(String, Whom), Problem> {
    caller.needs(Permission::Organisation)?;
    let found = state.config.organisation_rule(caller.tenant).await;
    found.map_err(|error| refused("read an organisation", error))
}

/// Says who has to have a second factor, if it is still as `before` says. Those who have none are asked to set one up with their next step.
pub async fn require(state: &AppState, caller: &Caller, before: Whom, whom: Whom) -> Result<(), Problem> {
    caller.needs(Permission::Organisation)?;
    if before == whom {
        return Ok(());
    }
    let changed = state
        .config
        .change_second_factor_rule(caller.tenant, &caller.by(), before, whom)
        .await;
    changed.map_err(|error| refused("require a second factor", error))
}
