//! The engine: starts the live group on threads of its own, and stops it in order.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use trunkline_core::metric::Rules;
use trunkline_stores::log::EventLog;
use trunkline_stores::postgres::Directory;

use super::business_actor;
use super::call_actor;
use super::faults::Faults;
use super::follower::Follower;
use super::hub::Hub;
use super::limits::Limits;
use super::member::Member;
use super::reaper::{CallLookup, Reaper, WAITING_MAX};
use super::shared::{Checkpoints, Shared};
use super::window::Live;
use crate::system::{Arbiters, Clock, FailureHook, Guardian, Hand, Roles, beat, wall_clock};

/// How an engine is to run.
#[derive(Clone)]
pub struct EngineOptions {
    /// Name of the consumer group. Each process that shows boards of its own needs all partitions, so a group of its own.
    pub group: String,
    /// Reads partitions as a member of the group. Without it, figures come from what other processes keep.
    pub reads: bool,
    /// Shows the partitions that other processes read as well. Needs checkpoints, here and there.
    pub follows: bool,
    /// Threads for readers and actors; 0: one per processor, not more than partitions.
    pub threads: usize,
    /// Ceilings and times.
    pub limits: Limits,
    /// The switches of the metric definitions.
    pub rules: Rules,
    /// Asks Retell for silent calls; `None`: they are presumed ended.
    pub lookup: Option<Arc<dyn CallLookup>>,
    /// Called with a role's name when its guardian gives up; the process should end with a clear code.
    pub on_failure: Option<FailureHook>,
    /// The clock; `None`: the system's.
    pub clock: Option<Clock>,
    /// Registry of roles, when others use the same one.
    pub roles: Roles,
    /// Faults to inject; tests only.
    pub faults: Option<Faults>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            group: "live".to_owned(),
            reads: true,
            follows: false,
            threads: 0,
            limits: Limits::default(),
            rules: Rules::default(),
            lookup: None,
            on_failure: None,
            clock: None,
            roles: Roles::default(),
            faults: None,
        }
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The operating system gave no thread.
    #[error("start the engine's thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The running live group. Dropping it stops it without waiting.
pub struct Engine {
    live: Live,
    stop: CancellationToken,
    ended: Option<oneshot::Receiver<()>>,
}

impl Engine {
    /// Starts reading `log`. Returns at once; boards are marked as rebuilding until the log's end was reached.
    pub fn start(
        log: Arc<dyn EventLog>,
        directory: watch::Receiver<Arc<Directory>>,
        options: EngineOptions,
    ) -> Result<Engine, EngineError> {
        let stop = CancellationToken::new();
        let (end, ended) = oneshot::channel();
        let threads = threads(options.threads, log.partitions());
        let house = House::furnish(log, directory, options, stop.clone());
        let live = house.live.clone();
        thread::Builder::new().name("live".to_owned()).spawn(move || {
            actix_rt::System::new().block_on(async { house.run(Arbiters::start(threads)).await });
            let _ = end.send(());
        })?;
        Ok(Engine {
            live,
            stop,
            ended: Some(ended),
        })
    }

    /// The live group without threads of its own: it goes on while the caller polls it within a set of local tasks (`LocalSet`), ends at
    /// `stop`, and dies where it stands when that set is dropped.
    pub fn member(
        log: Arc<dyn EventLog>,
        directory: watch::Receiver<Arc<Directory>>,
        options: EngineOptions,
        stop: CancellationToken,
    ) -> (Live, impl Future<Output = ()> + 'static) {
        let house = House::furnish(log, directory, options, stop);
        (house.live.clone(), house.run(Arbiters::none()))
    }

    /// The window onto what it publishes.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Finishes what was read, publishes it, commits, and ends the threads.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(ended) = self.ended.take() {
            let _ = ended.await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn threads(wanted: usize, partitions: u32) -> usize {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = usize::try_from(partitions).unwrap_or(usize::MAX).max(1);
    if wanted == 0 { processors.min(most) } else { wanted.min(most) }
}

/// Everything that lives on one thread.
struct House {
    live: Live,
    group: String,
    reads: bool,
    follows: bool,
    lookup: Option<Arc<dyn CallLookup>>,
    hand: Option<Hand>,
    shared: Arc<Shared>,
    directory: watch::Receiver<Arc<Directory>>,
    stop: CancellationToken,
}

impl House {
    fn furnish(
        log: Arc<dyn EventLog>,
        directory: watch::Receiver<Arc<Directory>>,
        options: EngineOptions,
        stop: CancellationToken,
    ) -> House {
        let (hand, clock) = match options.clock {
            Some(clock) => (None, clock),
            None => {
                let (hand, clock) = Clock::set_by_hand(wall_clock());
                (Some(hand), clock)
            }
        };
        let hub = Arc::new(Hub::default());
        let roles = options.roles;
        let live = Live {
            hub: Arc::clone(&hub),
            directory: directory.clone(),
            clock: clock.clone(),
            roles: roles.clone(),
            rules: Arc::new(options.rules.clone()),
            partitions: log.partitions(),
            quiet_ms: options.limits.quiet_ms,
        };
        let shared = Arc::new(Shared {
            call_role: roles.role("call_actor", call_actor::MAILBOX),
            business_role: roles.role("business_actor", business_actor::MAILBOX),
            log,
            hub,
            roles,
            clock,
            limits: options.limits,
            rules: options.rules,
            failure: options.on_failure.unwrap_or_else(|| Arc::new(|_| {})),
            faults: options.faults,
            checkpoints: options
                .limits
                .checkpoint_ms
                .map(|every_ms| Checkpoints::of(&options.group, every_ms)),
        });
        House {
            live,
            group: options.group,
            reads: options.reads,
            follows: options.follows,
            lookup: options.lookup,
            hand,
            shared,
            directory,
            stop,
        }
    }

    /// Consumers first, then what feeds them; stopped in the other direction.
    async fn run(self, arbiters: Arbiters) {
        let House {
            live: _,
            group,
            reads,
            follows,
            lookup,
            hand,
            shared,
            directory,
            stop,
        } = self;
        let arbiters = Rc::new(arbiters);
        let guardian = |name: &str| Guardian::new(shared.roles.role(name, 0), shared.clock.clone(), Arc::clone(&shared.failure));

        let after_readers = CancellationToken::new();
        let gauges = {
            let (shared, stop) = (Arc::clone(&shared), after_readers.clone());
            guardian("gauges").keep(move |_| write_gauges(Arc::clone(&shared), stop.clone()), after_readers.clone())
        };
        let gauges = actix_rt::spawn(gauges);

        let follower = follows.then(|| {
            shared.hub.progress.show_all();
            let follower = Follower {
                shared: Arc::clone(&shared),
                directory: directory.clone(),
                role: shared.roles.role("follower", 0),
                is_alone: !reads,
                stop: stop.clone(),
            };
            actix_rt::spawn(guardian("follower").keep(move |_| follower.clone().run(), stop.clone()))
        });

        let (questions, asked) = mpsc::channel(WAITING_MAX);
        let asked = Arc::new(tokio::sync::Mutex::new(asked));
        let reaper = {
            let (shared, directory, until) = (Arc::clone(&shared), directory.clone(), stop.clone());
            let recipe = move |_| {
                let reaper = Reaper {
                    log: Arc::clone(&shared.log),
                    lookup: lookup.clone(),
                    directory: directory.clone(),
                    clock: shared.clock.clone(),
                };
                reaper.run(Arc::clone(&asked), until.clone())
            };
            guardian("reaper").keep(recipe, stop.clone())
        };
        let reaper = reads.then(|| actix_rt::spawn(reaper));

        let member = Member {
            group,
            role: shared.roles.role("subscriber", 0),
            arbiters: Rc::clone(&arbiters),
            directory,
            questions,
            stop: stop.clone(),
            shared: Arc::clone(&shared),
        };
        let subscriber = reads.then(|| actix_rt::spawn(guardian("subscriber").keep(move |_| member.clone().run(), stop.clone())));

        let pulse = hand.map(|hand| {
            let (hand, stop) = (Arc::new(hand), after_readers.clone());
            let recipe = move |_| beat(Arc::clone(&hand), stop.clone());
            actix_rt::spawn(guardian("pulse").keep(recipe, after_readers.clone()))
        });

        stop.cancelled().await;
        for task in [subscriber, reaper, follower].into_iter().flatten() {
            let _ = task.await;
        }
        after_readers.cancel();
        let _ = gauges.await;
        if let Some(pulse) = pulse {
            let _ = pulse.await;
        }
        if let Some(arbiters) = Rc::into_inner(arbiters) {
            arbiters.stop();
        }
    }
}

/// How often gauges are written and unused boards dropped.
const GAUGES_MS: i64 = 1_000;

async fn write_gauges(shared: Arc<Shared>, stop: CancellationToken) {
    let mut clock = shared.clock.clone();
    let mut written_at = clock.now();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            now = clock.beat() => {
                if now.since(written_at) >= GAUGES_MS {
                    written_at = now;
                    shared.roles.write_gauges();
                    shared.hub.write_gauges(now, shared.log.partitions());
                    shared.hub.forget_unseen(now);
                }
            }
        }
    }
}
