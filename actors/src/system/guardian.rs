//! Guardians: notice a death, rebuild from a recipe, back off, give up loudly after a bound.
//!
//! actix's own `Supervisor` does not survive a panic, so it is not used.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;

use super::pulse::Clock;
use super::role::{Health, Role};

/// How many deaths within which time are too many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// So many deaths end it.
    pub(crate) deaths: usize,
    /// Within this time.
    pub(crate) within_ms: i64,
}

impl Bound {
    /// Of a role: five in a minute. A fault that comes back that fast comes back for ever (rule D15).
    pub(crate) const ROLE: Bound = Bound {
        deaths: 5,
        within_ms: 60_000,
    };
}

/// Longest pause before a rebuild: a board must not stay blank because of a fault that is over.
const BACKOFF_MS_MAX: u64 = 5_000;

/// What to do about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Build it again after this pause.
    Rebuild(Duration),
    /// The bound is reached.
    GiveUp,
}

/// The deaths of one ward. Pure: time is an argument.
#[derive(Debug)]
pub(crate) struct Deaths {
    bound: Bound,
    recent: VecDeque<Millis>,
}

impl Deaths {
    pub(crate) fn new(bound: Bound) -> Deaths {
        Deaths {
            bound,
            recent: VecDeque::new(),
        }
    }

    /// Notes a death at `now`: the first is rebuilt at once, each further one within the time waits four times longer.
    pub(crate) fn note(&mut self, now: Millis) -> Verdict {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| now.since(*at) > self.bound.within_ms) {
            self.recent.pop_front();
        }
        let deaths = self.recent.len();
        if deaths >= self.bound.deaths {
            return Verdict::GiveUp;
        }
        let pause = match deaths {
            0 | 1 => 0,
            n => (50u64 << (2 * (n - 2).min(8))).min(BACKOFF_MS_MAX),
        };
        Verdict::Rebuild(Duration::from_millis(pause))
    }
}

/// Called with the role's name when a guardian gives up; the process is expected to end, so that the platform starts it anew.
pub type FailureHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Held by an actor; tells its guardian when the actor is dropped without having been asked to end.
#[derive(Debug)]
pub(crate) struct Lifeline<K: Clone> {
    line: mpsc::UnboundedSender<(K, u32)>,
    ward: K,
    generation: u32,
    role: Arc<Role>,
    ordered: bool,
}

impl<K: Clone> Lifeline<K> {
    pub(crate) fn new(line: mpsc::UnboundedSender<(K, u32)>, ward: K, generation: u32, role: Arc<Role>) -> Lifeline<K> {
        role.born();
        Lifeline {
            line,
            ward,
            generation,
            role,
            ordered: false,
        }
    }

    /// From now on an end is in order.
    pub(crate) fn release(&mut self) {
        self.ordered = true;
    }
}

impl<K: Clone> Drop for Lifeline<K> {
    fn drop(&mut self) {
        // A closed line means that the guardian itself went first: then this is an end, not a death.
        if self.ordered || self.line.is_closed() {
            self.role.ended();
            return;
        }
        self.role.died("panic");
        // One message per actor at most, so this channel is bounded by the number of actors.
        let _ = self.line.send((self.ward.clone(), self.generation));
    }
}

/// Keeps one task alive.
pub(crate) struct Guardian {
    role: Arc<Role>,
    deaths: Deaths,
    clock: Clock,
    failure: FailureHook,
}

impl Guardian {
    pub(crate) fn new(role: Arc<Role>, clock: Clock, failure: FailureHook) -> Guardian {
        Guardian {
            role,
            deaths: Deaths::new(Bound::ROLE),
            clock,
            failure,
        }
    }

    /// Runs what `recipe` makes until it ends in order, `stop` comes, or the bound is reached. `recipe` gets the number of
    /// the generation, from 0. True when it ended in order.
    pub(crate) async fn keep<F, Fut>(mut self, mut recipe: F, stop: CancellationToken) -> bool
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        for generation in 0.. {
            self.role.born();
            self.role.tell(Health::Running, None);
            let task = actix_rt::spawn(recipe(generation));
            let Err(death) = task.await else {
                self.role.ended();
                self.role.tell(Health::Stopped, None);
                return true;
            };
            if death.is_cancelled() {
                self.role.ended();
                return true;
            }
            self.role.died("panic");
            match self.deaths.note(self.clock.now()) {
                Verdict::Rebuild(pause) => {
                    tracing::error!(
                        actor.role = self.role.name(),
                        pause_ms = pause.as_millis() as u64,
                        "role died and is rebuilt"
                    );
                    self.role
                        .tell(Health::Rebuilding, Some(format!("died; generation {} follows", generation + 1)));
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return true,
                    }
                }
                Verdict::GiveUp => {
                    self.give_up();
                    return false;
                }
            }
        }
        true
    }

    fn give_up(&self) {
        tracing::error!(actor.role = self.role.name(), "role died too often; its guardian gives up");
        self.role
            .tell(Health::Failed, Some("died too often; the process must be started anew".to_owned()));
        (self.failure)(self.role.name());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::system::Roles;

    #[test]
    fn deaths_back_off_and_five_in_a_minute_are_too_many() {
        let pause = |ms| Verdict::Rebuild(Duration::from_millis(ms));
        let mut deaths = Deaths::new(Bound::ROLE);
        let verdicts: Vec<Verdict> = (0..5).map(|n| deaths.note(Millis(n * 1_000))).collect();
        assert_eq!(verdicts, [pause(0), pause(50), pause(200), pause(800), Verdict::GiveUp]);

        let mut rare = Deaths::new(Bound::ROLE);
        for n in 0..100 {
            assert_eq!(rare.note(Millis(n * 61_000)), pause(0), "old deaths are forgotten");
        }
    }

    #[actix_rt::test]
    async fn a_task_that_panics_is_rebuilt_and_given_up_after_the_bound() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let failure: FailureHook = Arc::new(move |role: &str| heard.lock().unwrap().push(role.to_owned()));
        let role = Roles::default().role("tired", 0);
        let (_hand, clock) = Clock::set_by_hand(Millis(0));
        let mut generations = Vec::new();
        let kept = Guardian::new(Arc::clone(&role), clock.clone(), Arc::clone(&failure))
            .keep(
                |generation| {
                    generations.push(generation);
                    async { panic!("a fault for a test") }
                },
                CancellationToken::new(),
            )
            .await;
        assert!(!kept);
        assert_eq!(generations, [0, 1, 2, 3, 4]);
        assert_eq!(*told.lock().unwrap(), ["tired"]);
        assert_eq!(
            (role.state().health, role.state().deaths, role.state().alive),
            (Health::Failed, 5, 0)
        );

        let role = Roles::default().role("fine", 0);
        assert!(
            Guardian::new(Arc::clone(&role), clock, failure)
                .keep(|_| async {}, CancellationToken::new())
                .await
        );
        assert_eq!(role.state().health, Health::Stopped);
    }
}
