//! A call at a glance: the few things by which lists choose and sweeps decide. All else is made from the call when somebody looks.

use std::sync::Arc;

use trunkline_core::call::Call;
use trunkline_core::facts::{CallFacts, CallState, Direction, ReasonClass, Sentiment};
use trunkline_core::instant::Millis;

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
    /// Shared with the actor, which copies it before it changes it again.
    pub(crate) call: Arc<Call>,
    pub(crate) glance: Glance,
    pub(crate) agent_name: Option<Arc<str>>,
}

/// What of a call was unknown or unreadable: kept, so that only what is new is counted. Most calls have nothing of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities {
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) mood: Option<Arc<str>>,
    pub(crate) unreadable: Vec<(Arc<str>, u32)>,
}

impl Oddities {
    /// `None` when there is nothing odd.
    pub(crate) fn of(facts: &CallFacts) -> Option<Box<Oddities>> {
        let is_new = facts.reason_class == Some(ReasonClass::New);
        let is_other = facts.analysis.sentiment == Some(Sentiment::Other);
        let odd = Oddities {
            reason: facts.reason.clone().filter(|_| is_new),
            mood: facts.analysis.sentiment_raw.clone().filter(|_| is_other),
            unreadable: facts.unreadable.clone(),
        };
        (odd != Oddities::default()).then(|| Box::new(odd))
    }
}
