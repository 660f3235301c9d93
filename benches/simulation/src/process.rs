//! One life of one process: intake, live group, facts and effects, as the product has them, in a set of local tasks that can be dropped at
//! any moment (a crash), or left alone for a while (a process that is stopped and wakes as a zombie).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use trunkline_actors::facts::FactsWatcher;
use trunkline_actors::live::{Faults as LiveFaults, Point};
use trunkline_actors::{Clock, Effects, EffectsOptions, EffectsWatcher, Engine, EngineOptions, Facts, FactsOptions, Limits, Live, Roles};
use trunkline_core::door;
use trunkline_core::record::Source;
use trunkline_stores::log::EventLog;
use trunkline_stores::postgres::Directory;
use trunkline_stores::spool::{Keeper, SpoolState};

use crate::calls::Sent;
use crate::disk::MemoryDisk;
use crate::ledger::Ledger;
use crate::log::{IDENTITY, Log};
use crate::tables::Tables;
use crate::world::{Node, World};

/// How often a process looks at its clock.
const PULSE: Duration = Duration::from_millis(100);

/// Most deaths of one actor or reader that are caused in one life: more would be given up, as they should be.
const DEATHS_MAX: u32 = 3;

/// What actors say that die because the simulation wants it.
const PLANNED: &str = "a fault of the simulation";

/// Planned panics say nothing; all others are shown.
pub fn quieten_planned_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(PLANNED) {
            usual(panic);
        }
    }));
}

/// How processes of this run are set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Times of the live group.
    pub limits: Limits,
    /// Records of one batch of facts and of effects.
    pub batch_rows: usize,
    /// Memory for calls in the facts group.
    pub cache_bytes: usize,
    /// How likely an actor dies over a message.
    pub panics: f64,
    /// Room of a spool in bytes.
    pub spool_bytes: u64,
}

impl Setup {
    /// The setup of a run.
    pub fn draw(world: &World) -> Setup {
        world.draw(|chance| {
            let mut pick = |of: &[i64]| of[chance.random_range(0..of.len())];
            let limits = Limits {
                grace_ms: pick(&[1_500, 4_000, 60_000]),
                transfer_grace_ms: pick(&[3_000, 10_000]),
                silence_ms: pick(&[5_000, 12_000, 600_000]),
                registered_silence_ms: pick(&[4_000, 600_000]),
                checkpoint_ms: Some(pick(&[200, 700, 2_500])),
                ..Limits::default()
            };
            Setup {
                limits,
                batch_rows: pick(&[1, 3, 10, 2_000]) as usize,
                cache_bytes: pick(&[0, 4_096, 1 << 20]) as usize,
                spool_bytes: [0, 3_000, 1 << 20][chance.random_range(0..3)],
                panics: [0.0, 0.0, 0.002, 0.01][chance.random_range(0..4)],
            }
        })
    }
}

/// A body at the door, and who waits for the answer.
pub struct Request {
    /// What was sent.
    pub sent: Sent,
    /// True: it is durable.
    pub answer: oneshot::Sender<bool>,
}

/// One life.
pub struct Process {
    /// Which.
    pub node: Node,
    /// Stopped for now.
    pub frozen: bool,
    /// What it shows.
    pub live: Live,
    /// What its facts group does.
    pub facts: FactsWatcher,
    /// What its effects group does.
    pub effects: EffectsWatcher,
    /// Its way to durability.
    keeper: Arc<Keeper>,
    /// Its door.
    pub door: mpsc::UnboundedSender<Request>,
    /// What it knows of the configuration.
    directories: [watch::Sender<Arc<Directory>>; 3],
    /// Asks it to end in order.
    pub stop: CancellationToken,
    tasks: LocalSet,
}

impl Process {
    /// Starts one.
    pub fn start(world: &World, node: Node, setup: &Setup, directory: Arc<Directory>) -> Process {
        let log: Arc<dyn EventLog> = Arc::new(Log::new(world, node));
        let (hand, clock) = Clock::set_by_hand(world.clock_of(node.number));
        // One for each group: who waits at one and the same wakes in no certain order.
        let directories: [_; 3] = std::array::from_fn(|_| watch::channel(directory.clone()).0);
        let stop = CancellationToken::new();
        let roles = Roles::default();
        let tasks = LocalSet::new();

        let beating = world.clone();
        tasks.spawn_local(async move {
            loop {
                hand.set(beating.clock_of(node.number));
                sleep(PULSE).await;
            }
        });
        let failed = world.clone();
        let options = EngineOptions {
            limits: setup.limits,
            clock: Some(clock.clone()),
            roles: roles.clone(),
            on_failure: Some(Arc::new(move |role: &str| {
                failed.note(&format!("{node} gives up over {role} and ends"));
                failed.kill(node);
            })),
            faults: (setup.panics > 0.0).then(|| panics(world, setup.panics)),
            ..EngineOptions::default()
        };
        let (live, member) = Engine::member(log.clone(), directories[0].subscribe(), options, stop.clone());
        tasks.spawn_local(member);

        let options = FactsOptions {
            batch_rows: setup.batch_rows,
            cache_bytes: setup.cache_bytes,
            clock: Some(clock.clone()),
            ..FactsOptions::new(IDENTITY)
        };
        let tables = Arc::new(Tables::new(world, node));
        let (facts, member) = Facts::member(log.clone(), tables, directories[1].subscribe(), &roles, options, stop.clone());
        tasks.spawn_local(member);

        let options = EffectsOptions {
            batch_rows: setup.batch_rows,
            clock: Some(clock.clone()),
            ..EffectsOptions::default()
        };
        let ledger = Arc::new(Ledger::new(world, node));
        let (effects, member) = Effects::member(log.clone(), ledger, directories[2].subscribe(), &roles, options, stop.clone());
        tasks.spawn_local(member);

        let (door, requests) = mpsc::unbounded_channel();
        let disk = Arc::new(MemoryDisk::new(world, node));
        let opened = Keeper::over(log, disk, setup.spool_bytes);
        let (keeper, writer, drain) = opened.expect("a disk in memory holds nothing of other versions");
        let keeper = Arc::new(keeper);
        tasks.spawn_local(writer);
        tasks.spawn_local(drain);
        tasks.spawn_local(take_in(keeper.clone(), clock, requests));
        Process {
            node,
            frozen: false,
            live,
            facts,
            effects,
            door,
            keeper,
            directories,
            stop,
            tasks,
        }
    }

    /// What is in its spool.
    pub fn spool(&self) -> SpoolState {
        self.keeper.spool()
    }

    /// Tells it what the directory is.
    pub fn learn(&self, directory: &Arc<Directory>) {
        for to in &self.directories {
            to.send_replace(directory.clone());
        }
    }

    /// Lets it go on until all of its tasks wait for something.
    pub fn poll(&mut self, context: &mut Context<'_>) {
        if !self.frozen {
            let _ = Pin::new(&mut self.tasks).poll(context);
        }
    }
}

/// The door: what comes in is made durable, many at a time.
async fn take_in(keeper: Arc<Keeper>, clock: Clock, mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(Request { sent, answer }) = requests.recv().await {
        let (keeper, at) = (keeper.clone(), clock.now());
        tokio::task::spawn_local(async move {
            let (routed, body) = door::route(sent.body);
            let key = routed.key.clone();
            let record = door::record(routed, body, at, sent.tenant, sent.workspace, Source::Webhook);
            let kept = keeper.keep(&key, record.encode(), at).await;
            let _ = answer.send(kept.is_ok());
        });
    }
}

/// Actors and readers that die over a message now and then.
fn panics(world: &World, likely: f64) -> LiveFaults {
    let (world, reached) = (world.clone(), Mutex::new(HashMap::<String, (u32, u32)>::new()));
    LiveFaults::new(move |point| {
        let who = match point {
            // What is poisoned is left out by rule; here nothing is.
            Point::Apply(_) => return,
            Point::Handle(key) => format!("call {}", key.id),
            Point::Fold(business) => format!("business {business:?}"),
            Point::Read(partition) => format!("reader {partition}"),
        };
        let mut reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, deaths) = reached.entry(who.clone()).or_default();
        *times += 1;
        let may_die = *deaths < DEATHS_MAX && !world.state().faults.off;
        // Who comes first to such a point is not decided by the run: so neither is who dies there.
        let dies = may_die && world.draw_for(likely, &format!("{who} {times}"));
        if !dies {
            return;
        }
        *deaths += 1;
        drop(reached);
        world.note(&format!("{who} dies"));
        panic!("{PLANNED}");
    })
}
