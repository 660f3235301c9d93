//! One business on one partition as an actor: a thin shell round [`Partial`].

use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message, MessageResult};
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Contribution, Partial};

use super::faults::{Faults, Point};
use super::partition::Ward;
use crate::system::Lifeline;

/// Room of a business's mailbox: a fold and a snapshot may be on the way together.
pub(crate) const MAILBOX: usize = 2;

/// What one call added before and adds now.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) old: Option<Contribution>,
    pub(crate) new: Option<Contribution>,
}

/// The changes of one micro-batch.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Fold(pub(crate) Vec<Change>);

/// Asks for an immutable copy, after forgetting what is older than the horizon.
#[derive(Debug, Message)]
#[rtype(result = "Arc<Partial>")]
pub(crate) struct Snapshot {
    pub(crate) forget_before: Millis,
}

/// Asks the actor to end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

/// The shell.
pub(crate) struct BusinessActor {
    business: BusinessId,
    partial: Partial,
    lifeline: Lifeline<Ward>,
    faults: Option<Faults>,
}

impl BusinessActor {
    pub(crate) fn new(business: BusinessId, partial: Partial, lifeline: Lifeline<Ward>, faults: Option<Faults>) -> BusinessActor {
        BusinessActor {
            business,
            partial,
            lifeline,
            faults,
        }
    }
}

impl Actor for BusinessActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Fold> for BusinessActor {
    type Result = ();

    fn handle(&mut self, Fold(changes): Fold, _: &mut Self::Context) {
        if let Some(faults) = &self.faults {
            faults.reach(Point::Fold(self.business));
        }
        for change in &changes {
            if let Some(old) = &change.old {
                self.partial.subtract(old);
            }
            if let Some(new) = &change.new {
                self.partial.add(new);
            }
        }
    }
}

impl Handler<Snapshot> for BusinessActor {
    type Result = MessageResult<Snapshot>;

    fn handle(&mut self, Snapshot { forget_before }: Snapshot, _: &mut Self::Context) -> Self::Result {
        self.partial.forget(forget_before);
        MessageResult(Arc::new(self.partial.clone()))
    }
}

impl Handler<Close> for BusinessActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Self::Context) {
        self.lifeline.release();
        context.stop();
    }
}
