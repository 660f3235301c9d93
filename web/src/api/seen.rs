//! Whether one call is the caller's to see, and that they saw it: lists ask within what is seen, single calls are looked at here.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use trunkline_core::access::Sight;
use trunkline_core::audit::Deed;
use trunkline_core::id::CallKey;
use uuid::Uuid;

use super::calls::unread;
use crate::configure::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::state::AppState;

/// What the same person or program reads of the same call within this time is one opening: a page with its stream, a program that polls.
const OPENING_LASTS: Duration = Duration::from_secs(10 * 60);

/// Openings remembered at once, some 10 MB. Beyond, all are forgotten: then a call is noted twice, never not at all.
const OPENINGS_MAX: usize = 50_000;

/// What of a call is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// What was said, and everything about it.
    Call,
    /// Its records as they came.
    Raw,
}

/// Who opened what a moment ago.
#[derive(Default)]
pub struct Views(DashMap<(Option<Uuid>, CallKey, Part), Instant>);

/// Writes into the record of deeds that the caller opened a call, before it is shown. A view that cannot be noted is not given: Postgres is
/// needed to let the caller in as well, so nothing else is lost by that.
pub async fn note(state: &AppState, caller: &Caller, key: &CallKey, part: Part) -> Result<(), Problem> {
    let by = caller.by();
    let opening = (by.actor.id(), key.clone(), part);
    let open = state.views.0.get(&opening).is_some_and(|since| since.elapsed() < OPENING_LASTS);
    if open {
        return Ok(());
    }
    let action = match part {
        Part::Call => "call.view",
        Part::Raw => "call.view_raw",
    };
    let deed = Deed::plain(action, key.kind.as_str(), &key.id);
    let noted = state.config.note_deed(caller.tenant, &by, &deed).await;
    noted.map_err(|error| refused("note a view", error))?;
    if state.views.0.len() >= OPENINGS_MAX {
        state.views.0.retain(|_, since| since.elapsed() < OPENING_LASTS);
    }
    if state.views.0.len() >= OPENINGS_MAX {
        state.views.0.clear();
    }
    state.views.0.insert(opening, Instant::now());
    Ok(())
}

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
    let theirs = sight.sees(business, agent.as_deref());
    theirs.then_some(()).ok_or_else(Problem::not_found)
}
