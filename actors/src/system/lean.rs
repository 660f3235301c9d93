//! A small execution context for actors that do nothing but answer messages, because a call is one and there are very many of them.
//!
//! actix's own `Context` keeps room for timers, streams and futures of its actor: half a kilobyte that a call never uses. Everything
//! else is actix: actor, handlers, address, mailbox, envelopes, arbiter.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix::dev::channel::{AddressReceiver, channel};
use actix::dev::{Envelope, EnvelopeProxy, MessageResponse, OneshotSender, ToEnvelope};
use actix::{Actor, ActorContext, ActorState, Addr, Handler, Message, Running};
use futures::Stream;

/// The context. Knows only whether its actor runs.
#[derive(Debug)]
pub(crate) struct Lean {
    state: ActorState,
}

impl ActorContext for Lean {
    fn stop(&mut self) {
        if self.state == ActorState::Running {
            self.state = ActorState::Stopping;
        }
    }

    fn terminate(&mut self) {
        self.state = ActorState::Stopped;
    }

    fn state(&self) -> ActorState {
        self.state
    }
}

/// Bounds nothing: who sends waits for the answer (see `system/deliver.rs`), and with a bound that one message reaches, actix notes at
/// each message that its sender has to be woken.
const UNBOUNDED: usize = 0;

/// Starts an actor on this thread.
pub(crate) fn start_lean<A>(actor: A) -> Addr<A>
where
    A: Actor<Context = Lean> + Unpin,
{
    let (address, inbox) = channel(UNBOUNDED);
    let context = Lean {
        state: ActorState::Started,
    };
    actix_rt::spawn(Life { actor, context, inbox });
    Addr::new(address)
}

/// An actor's life: takes its messages in their order until it stops or nobody holds its address any more.
struct Life<A: Actor> {
    actor: A,
    context: Lean,
    inbox: AddressReceiver<A>,
}

impl<A> Future for Life<A>
where
    A: Actor<Context = Lean> + Unpin,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let Life { actor, context, inbox } = self.get_mut();
        if context.state == ActorState::Started {
            context.state = ActorState::Running;
            actor.started(context);
        }
        loop {
            if context.state == ActorState::Stopping && actor.stopping(context) == Running::Continue {
                context.state = ActorState::Running;
            }
            if context.state != ActorState::Running {
                context.state = ActorState::Stopped;
                actor.stopped(context);
                return Poll::Ready(());
            }
            match Pin::new(&mut *inbox).poll_next(task) {
                Poll::Ready(Some(mut message)) => message.handle(actor, context),
                Poll::Ready(None) => context.stop(),
                Poll::Pending if !inbox.connected() => context.stop(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<A, M> ToEnvelope<A, M> for Lean
where
    A: Actor<Context = Lean> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, answer: Option<OneshotSender<M::Result>>) -> Envelope<A> {
        let message = Some(message);
        Envelope::with_proxy(Box::new(Letter { message, answer }))
    }
}

/// A message on its way, with where its answer is waited for.
struct Letter<M: Message> {
    message: Option<M>,
    answer: Option<OneshotSender<M::Result>>,
}

impl<A, M> EnvelopeProxy<A> for Letter<M>
where
    A: Actor<Context = Lean> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn handle(&mut self, actor: &mut A, context: &mut Lean) {
        // As actix does: what nobody waits for any more is not begun.
        if self.answer.as_ref().is_some_and(OneshotSender::is_closed) {
            return;
        }
        if let Some(message) = self.message.take() {
            let answer = <A as Handler<M>>::handle(actor, message, context);
            answer.handle(context, self.answer.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts its ends.
    struct Echo(Arc<AtomicUsize>);

    impl Actor for Echo {
        type Context = Lean;

        fn stopped(&mut self, _: &mut Lean) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Say(u32);

    #[derive(Message)]
    #[rtype(result = "()")]
    struct End;

    impl Handler<Say> for Echo {
        type Result = u32;

        fn handle(&mut self, Say(number): Say, _: &mut Lean) -> u32 {
            assert!(number < 7, "a fault for a test");
            number
        }
    }

    impl Handler<End> for Echo {
        type Result = ();

        fn handle(&mut self, _: End, context: &mut Lean) {
            context.stop();
        }
    }

    #[actix_rt::test]
    async fn it_answers_in_order_and_ends_when_asked() {
        let ends = Arc::new(AtomicUsize::new(0));
        let address = start_lean(Echo(Arc::clone(&ends)));
        for number in 0..5 {
            assert_eq!(address.send(Say(number)).await, Ok(number));
        }
        assert_eq!(address.send(End).await, Ok(()));
        assert!(address.send(Say(1)).await.is_err());
        assert!(!address.connected());
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    }

    #[actix_rt::test]
    async fn it_ends_with_its_last_address() {
        let ends = Arc::new(AtomicUsize::new(0));
        drop(start_lean(Echo(Arc::clone(&ends))));
        while ends.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    }

    #[actix_rt::test]
    async fn a_panic_is_its_own_death_only() {
        let ends = Arc::new(AtomicUsize::new(0));
        let (sick, well) = (start_lean(Echo(Arc::clone(&ends))), start_lean(Echo(Arc::clone(&ends))));
        assert!(sick.send(Say(7)).await.is_err());
        assert!(!sick.connected());
        assert_eq!(well.send(Say(6)).await, Ok(6));
    }
}
