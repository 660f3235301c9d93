//! Delivers one message into a bounded mailbox: waits for room, counts the wait, hands back the receipt.
//!
//! The only callers of actix's `send`. Room is our own permit, because actix 0.13.5 gives each clone of an address a free slot,
//! and a `send` that meets a full mailbox goes in through a fresh clone: its capacity bounds nothing.

use std::sync::Arc;
use std::time::Instant;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::Semaphore;

use super::lean::{Lean, start_lean};
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

impl<'a> InFlight<'a> {
    fn new(role: &'a Role) -> InFlight<'a> {
        role.sent();
        InFlight(role)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.settled();
    }
}

/// The only door to one lean actor. Whoever holds it waits for each receipt before it writes again, so there is never more than one message
/// on the way, and no permit is kept for it: a call is such an actor, and there are very many.
pub(crate) struct Line<A: Actor<Context = Lean>> {
    address: Addr<A>,
    role: Arc<Role>,
}

impl<A: Actor<Context = Lean> + Unpin> Line<A> {
    /// Starts `actor` on this thread.
    pub(crate) fn start(actor: A, role: Arc<Role>) -> Line<A> {
        role.born();
        Line {
            address: start_lean(actor),
            role,
        }
    }
}

impl<A: Actor<Context = Lean>> Drop for Line<A> {
    fn drop(&mut self) {
        self.role.ended();
    }
}

/// Delivers `message` to a lean actor and returns what the handler answered.
pub(crate) async fn ask<A, M>(line: &Line<A>, message: M) -> Result<M::Result, Undelivered>
where
    A: Actor<Context = Lean> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let _in_flight = InFlight::new(&line.role);
    line.address.send(message).await.map_err(|_| Undelivered)
}

/// Delivers one message to each of many lean actors, to none twice: all are on their way before the first answer is waited for, so
/// that they take one turn of the thread together. The answers come in the order of the messages.
pub(crate) async fn ask_all<'m, A, M>(letters: impl Iterator<Item = (&'m Line<A>, M)>) -> Vec<Result<M::Result, Undelivered>>
where
    A: Actor<Context = Lean> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let send = |(line, message): (&'m Line<A>, M)| (InFlight::new(&line.role), line.address.send(message));
    let on_the_way: Vec<_> = letters.map(send).collect();
    let mut answers = Vec::with_capacity(on_the_way.len());
    for (_in_flight, answer) in on_the_way {
        answers.push(answer.await.map_err(|_| Undelivered));
    }
    answers
}

/// Delivers `message`, waiting for room, and returns what the handler answered.
pub(crate) async fn deliver<A, M>(mailbox: &Mailbox<A>, message: M) -> Result<M::Result, Undelivered>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let _room = match mailbox.room.try_acquire() {
        Ok(permit) => permit,
        Err(_) => {
            let began = Instant::now();
            let permit = mailbox.room.acquire().await.map_err(|_| Undelivered)?;
            mailbox.role.waited(began.elapsed());
            permit
        }
    };
    let _in_flight = InFlight::new(&mailbox.role);
    mailbox.address.send(message).await.map_err(|_| Undelivered)
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

    struct Prompt;

    impl Actor for Prompt {
        type Context = Lean;
    }

    impl Handler<Ask> for Prompt {
        type Result = u32;

        fn handle(&mut self, Ask(number): Ask, _: &mut Lean) -> u32 {
            number
        }
    }

    impl Handler<End> for Prompt {
        type Result = ();

        fn handle(&mut self, _: End, context: &mut Lean) {
            context.stop();
        }
    }

    #[actix_rt::test]
    async fn many_lean_actors_answer_in_the_order_of_the_messages() {
        let role = Roles::default().role("prompt", 1);
        let lines: Vec<Line<Prompt>> = (0..9).map(|_| Line::start(Prompt, Arc::clone(&role))).collect();
        assert_eq!(ask(&lines[4], End).await, Ok(()));
        let answers = ask_all(lines.iter().zip(0..).map(|(line, number)| (line, Ask(number)))).await;
        let expected: Vec<_> = (0..9)
            .map(|number| if number == 4 { Err(Undelivered) } else { Ok(number) })
            .collect();
        assert_eq!(answers, expected);
        assert_eq!((role.state().in_flight, role.state().alive), (0, 9));
        drop(lines);
        assert_eq!((role.state().delivered, role.state().alive), (10, 0));
    }

    #[actix_rt::test]
    async fn a_delivery_to_an_actor_that_ended_says_so() {
        let mailbox = Mailbox::new(Slow.start(), Roles::default().role("slow", 2));
        assert_eq!(deliver(&mailbox, End).await, Ok(()));
        assert_eq!(deliver(&mailbox, Ask(1)).await, Err(Undelivered));
        assert!(!mailbox.is_open());
    }
}
