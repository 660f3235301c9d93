//! Delivers one message into a bounded mailbox: waits for room, counts the wait, hands back the receipt.
//!
//! The only caller of actix's `send`. Room is our own permit, because actix 0.13.5 gives each clone of an address a free slot,
//! and a `send` that meets a full mailbox goes in through a fresh clone: its capacity bounds nothing.

use std::sync::Arc;
use std::time::Instant;

use actix::dev::{Request, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::{Semaphore, SemaphorePermit};

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

/// A message that is on its way.
struct OnTheWay<'m, A, M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    answer: Request<A, M>,
    _room: SemaphorePermit<'m>,
    _in_flight: InFlight<'m>,
}

async fn send<A, M>(mailbox: &Mailbox<A>, message: M) -> Result<OnTheWay<'_, A, M>, Undelivered>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let room = match mailbox.room.try_acquire() {
        Ok(permit) => permit,
        Err(_) => {
            let began = Instant::now();
            let permit = mailbox.room.acquire().await.map_err(|_| Undelivered)?;
            mailbox.role.waited(began.elapsed());
            permit
        }
    };
    mailbox.role.sent();
    Ok(OnTheWay {
        _in_flight: InFlight(&mailbox.role),
        _room: room,
        answer: mailbox.address.send(message),
    })
}

/// Delivers `message`, waiting for room, and returns what the handler answered.
pub(crate) async fn deliver<A, M>(mailbox: &Mailbox<A>, message: M) -> Result<M::Result, Undelivered>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    send(mailbox, message).await?.answer.await.map_err(|_| Undelivered)
}

/// Delivers one message into each of many mailboxes, no mailbox twice: all are on their way before the first answer is waited for, so
/// that their actors take one turn of the thread together. The answers come in the order of the messages.
pub(crate) async fn deliver_all<'m, A, M>(letters: impl Iterator<Item = (&'m Mailbox<A>, M)>) -> Vec<Result<M::Result, Undelivered>>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let mut on_the_way = Vec::with_capacity(letters.size_hint().0);
    for (mailbox, message) in letters {
        on_the_way.push(send(mailbox, message).await);
    }
    let mut answers = Vec::with_capacity(on_the_way.len());
    for sent in on_the_way {
        answers.push(match sent {
            Ok(sent) => sent.answer.await.map_err(|_| Undelivered),
            Err(undelivered) => Err(undelivered),
        });
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::{ActorContext, Context};

    use super::*;
    use crate::system::Roles;

    struct Slow;

    impl Actor for Slow {
        type Context = Context<Self>;

        fn started(&mut self, context: &mut Self::Context) {
            context.set_mailbox_capacity(2);
        }
    }

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Ask(u32);

    #[derive(Message)]
    #[rtype(result = "()")]
    struct End;

    impl Handler<Ask> for Slow {
        type Result = u32;

        fn handle(&mut self, Ask(number): Ask, _: &mut Self::Context) -> u32 {
            std::thread::sleep(Duration::from_micros(200));
            number
        }
    }

    impl Handler<End> for Slow {
        type Result = ();

        fn handle(&mut self, _: End, context: &mut Self::Context) {
            context.stop();
        }
    }

    #[actix_rt::test]
    async fn fifty_deliveries_through_a_mailbox_of_two_all_arrive_and_their_waits_are_counted() {
        let role = Roles::default().role("slow", 2);
        let mailbox = Mailbox::new(Slow.start(), Arc::clone(&role));
        let answers = futures::future::join_all((0..50).map(|number| deliver(&mailbox, Ask(number)))).await;
        assert_eq!(answers, (0..50).map(Ok).collect::<Vec<_>>());
        let state = role.state();
        assert_eq!((state.delivered, state.in_flight, state.waits), (50, 0, 48));
    }

    #[actix_rt::test]
    async fn many_mailboxes_answer_in_the_order_of_the_messages() {
        let role = Roles::default().role("slow", 1);
        let mailboxes: Vec<Mailbox<Slow>> = (0..9).map(|_| Mailbox::new(Slow.start(), Arc::clone(&role))).collect();
        assert_eq!(deliver(&mailboxes[4], End).await, Ok(()));
        let answers = deliver_all(mailboxes.iter().zip(0..).map(|(mailbox, number)| (mailbox, Ask(number)))).await;
        let expected: Vec<_> = (0..9)
            .map(|number| if number == 4 { Err(Undelivered) } else { Ok(number) })
            .collect();
        assert_eq!(answers, expected);
        assert_eq!(role.state().in_flight, 0);
    }

    #[actix_rt::test]
    async fn a_delivery_to_an_actor_that_ended_says_so() {
        let mailbox = Mailbox::new(Slow.start(), Roles::default().role("slow", 2));
        assert_eq!(deliver(&mailbox, End).await, Ok(()));
        assert_eq!(deliver(&mailbox, Ask(1)).await, Err(Undelivered));
        assert!(!mailbox.is_open());
    }
}
