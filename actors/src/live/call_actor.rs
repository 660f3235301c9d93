//! One call as an actor: a thin shell round [`Call`] that applies events in order and answers with a receipt.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, ActorContext, Handler, Message, MessageResult};
use trunkline_core::call::{Call, Ending};
use trunkline_core::event::{Echo, Event};
use trunkline_core::facts::CallFacts;

use super::faults::{Faults, Point};
use crate::system::Lean;

/// Messages that are on the way to a call at most: its reader waits for each receipt.
pub(crate) const MAILBOX: usize = 1;

/// One event with its offset.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) offset: i64,
    pub(crate) event: Box<Event>,
    /// Records before it in the same batch that are echoes of it, with their offsets.
    pub(crate) echoes: Vec<(i64, Echo)>,
}

impl Stamped {
    /// Offsets of all records in it, rising.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = i64> {
        self.echoes.iter().map(|(offset, _)| *offset).chain([self.offset])
    }
}

/// The events of one micro-batch for one call, in log order.
#[derive(Debug, Message)]
#[rtype(result = "Receipt")]
pub(crate) struct ApplyBatch {
    pub(crate) events: Vec<Stamped>,
    /// Comes with the message, because very many calls would keep it for nothing.
    pub(crate) faults: Option<Faults>,
}

/// Asks the call to end and hand over its state.
#[derive(Debug, Message)]
#[rtype(result = "Option<Arc<Call>>")]
pub(crate) struct Retire;

/// Asks for the state as it is; `None` when it is void.
#[derive(Debug, Message)]
#[rtype(result = "Option<Arc<Call>>")]
pub(crate) struct Look;

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum Receipt {
    /// Every event has its ending.
    Settled(Box<Settled>),
    /// Something panicked: the state is void, the reader rebuilds it and finds the poisoned event.
    Void,
}

/// What a call looks like after a batch.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) facts: CallFacts,
    /// The call itself, shared: whoever keeps it costs a copy with the next change.
    pub(crate) call: Arc<Call>,
    /// False while only undocumented events have come: they create no call (rule A10).
    pub(crate) exists: bool,
    pub(crate) endings: Endings,
}

impl Settled {
    /// The call as it stands; its list of events is left out, because nothing live asks for it.
    pub(crate) fn of(call: &Arc<Call>, endings: Endings) -> Settled {
        Settled {
            facts: call.facts_without_events(),
            exists: call.exists(),
            call: Arc::clone(call),
            endings,
        }
    }
}

/// How many events ended how.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Endings {
    pub(crate) applied: u64,
    pub(crate) repeats: u64,
    pub(crate) same: u64,
}

impl Endings {
    fn note(&mut self, ending: Ending) {
        match ending {
            Ending::Applied => self.applied += 1,
            Ending::Repeat => self.repeats += 1,
            Ending::Same => self.same += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Endings) {
        self.applied += other.applied;
        self.repeats += other.repeats;
        self.same += other.same;
    }
}

/// The shell: one pointer, so that its task fits into 128 bytes. It needs no lifeline: it can only die over a message, and its reader, who
/// waits for the receipt, hears of it there.
pub(crate) struct CallActor(pub(crate) Option<Arc<Call>>);

impl Actor for CallActor {
    type Context = Lean;
}

impl Handler<ApplyBatch> for CallActor {
    type Result = MessageResult<ApplyBatch>;

    fn handle(&mut self, batch: ApplyBatch, _: &mut Self::Context) -> Self::Result {
        if let (Some(faults), Some(call)) = (&batch.faults, &self.0) {
            faults.reach(Point::Handle(call.key()));
        }
        let step = |call: &mut Arc<Call>| {
            let endings = apply(call, &batch.events, batch.faults.as_ref());
            Settled::of(call, endings)
        };
        let receipt = match self.0.as_mut().map(|call| catch_unwind(AssertUnwindSafe(|| step(call)))) {
            Some(Ok(settled)) => Receipt::Settled(Box::new(settled)),
            Some(Err(_)) | None => Receipt::Void,
        };
        if matches!(receipt, Receipt::Void) {
            self.0 = None;
        }
        MessageResult(receipt)
    }
}

impl Handler<Look> for CallActor {
    type Result = Option<Arc<Call>>;

    fn handle(&mut self, _: Look, _: &mut Self::Context) -> Self::Result {
        self.0.clone()
    }
}

impl Handler<Retire> for CallActor {
    type Result = Option<Arc<Call>>;

    fn handle(&mut self, _: Retire, context: &mut Self::Context) -> Self::Result {
        context.stop();
        self.0.take()
    }
}

/// Applies `events`; the step that may panic. Copies the call first if somebody else holds it. Order decides nothing (rule B3), and from the
/// last to the first less is kept of what a later event makes void.
pub(crate) fn apply(shared: &mut Arc<Call>, events: &[Stamped], faults: Option<&Faults>) -> Endings {
    let call = Arc::make_mut(shared);
    let mut endings = Endings::default();
    for Stamped { event, echoes, .. } in events.iter().rev() {
        if let Some(faults) = faults {
            (0..=echoes.len()).for_each(|_| faults.reach(Point::Apply(event)));
        }
        endings.note(call.apply(event).ending);
        call.apply_echoes(event, echoes.iter().map(|(_, echo)| echo), |ending| endings.note(ending));
    }
    endings
}
