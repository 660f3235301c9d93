//! Delivers one message into a bounded mailbox: waits for room, counts the wait, hands back the receipt.
//!
//! The only caller of actix's `send`. Room is our own permit, because actix 0.13.5 counts one free slot per cloned
//! address, and a `send` that meets a full mailbox parks without a waker and is never woken. Here it never meets one.

use std::sync::Arc;
use std::time::Instant;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::Semaphore;

use super::role::Role;

/// Why a message was not handled to its end: the actor is gone. Whether it saw the message is unknown; read its state anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("actor ended before it settled the message")]
pub(crate) struct Undelivered;

/// The only door to one actor.
pub(crate) struct Mailbox<A: Actor> {
    address: Addr<A>,
    room: Semaphore,
    role: Arc<Role>,
}

impl<A: Actor> Mailbox<A> {
    /// Puts `role.capacity()` permits in front of `address`. The actor's own mailbox must be at least as large.
    pub(crate) fn new(address: Addr<A>, role: Arc<Role>) -> Mailbox<A> {
        Mailbox {
            address,
            room: Semaphore::new(role.capacity()),
            role,
        }
    }

    /// False once the actor is gone.
    pub(crate) fn is_open(&self) -> bool {
        self.address.connected()
    }
}

struct InFlight<'a>(&'a Role);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.settled();
    }
}

/// Delivers `message`, waiting for room, and returns what the handler answered.
pub(crate) async fn deliver<A, M>(mailbox: &Mailbox<A>, message: M) -> Result<M::Result, Undelivered>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let _permit = match mailbox.room.try_acquire() {
        Ok(permit) => permit,
        Err(_) => {
            let began = Instant::now();
            let permit = mailbox.room.acquire().await.map_err(|_| Undelivered)?;
            mailbox.role.waited(began.elapsed());
            permit
        }
    };
    mailbox.role.sent();
    let _in_flight = InFlight(&mailbox.role);
    mailbox.address.send(message).await.map_err(|_| Undelivered)
}
