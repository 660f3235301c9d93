//! Whether one call is the caller's to see: lists ask within what is seen, single calls are looked at here.

use trunkline_core::access::Sight;
use trunkline_core::id::CallKey;

use super::calls::unread;
use crate::error::Problem;
use crate::state::AppState;

/// Refuses a call that `sight` does not hold just as one that does not exist (S-001).
pub async fn check(state: &AppState, sight: &Sight, key: &CallKey) -> Result<(), Problem> {
    if *sight == Sight::All {
        return Ok(());
    }
    let (business, agent) = match state.live.call(key, &Sight::All) {
        Some((call, _)) => (call.business, call.facts.agent_id.clone()),
        None => {
            let found = state.analytics.call(key.tenant, key.kind, &key.id).await;
            let stored = found
                .map_err(|error| unread("read a call", error))?
                .ok_or_else(Problem::not_found)?;
            (Some(stored.business), stored.facts.agent_id)
        }
    };
    let theirs = business.is_some_and(|business| sight.holds(business, agent.as_deref()));
    theirs.then_some(()).ok_or_else(Problem::not_found)
}
