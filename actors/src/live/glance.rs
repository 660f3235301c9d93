//! A call at a glance: the few things by which lists choose and sweeps decide. All else is made from the call when somebody looks.

use std::sync::Arc;

use trunkline_core::facts::{CallFacts, CallState, Direction};
use trunkline_core::instant::Millis;

use super::kept::Kept;

/// What lists and gauges ask of very many calls at once.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    /// Agent by the merge rules.
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) last_received_at: Millis,
    pub(crate) state: CallState,
    pub(crate) direction: Direction,
    pub(crate) presumed_ended: bool,
}

impl Glance {
    /// Of what is no call yet: only undocumented events came.
    pub(crate) fn unknown(heard_at: Millis) -> Glance {
        Glance {
            agent: None,
            last_received_at: heard_at,
            state: CallState::Registered,
            direction: Direction::None,
            presumed_ended: false,
        }
    }

    pub(crate) fn of(facts: &CallFacts) -> Glance {
        Glance {
            agent: facts.agent_id.clone(),
            last_received_at: facts.last_received_at,
            state: facts.state,
            direction: facts.direction,
            presumed_ended: facts.presumed_ended,
        }
    }
}

/// A call as it is after a batch, on its way to the hub.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// Whole, it is shared with the actor, which copies it before it changes it again.
    pub(crate) call: Kept,
    pub(crate) glance: Glance,
    pub(crate) agent_name: Option<Arc<str>>,
}
