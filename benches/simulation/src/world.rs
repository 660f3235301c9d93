//! The simulated world: one state, one clock, one source of chance. Every store's port goes through [`World::ask`], which decides what
//! becomes of a request: it is done, refused, done without an answer, done later, or the process dies over it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep};
use trunkline_core::instant::Millis;

use crate::disk::Platter;
use crate::faults::{Fate, Faults};
use crate::ledger::LedgerState;
use crate::log::LogState;
use crate::tables::TablesState;
use crate::topic::Topics;
use crate::trace::{Trace, print};

/// Noon of 2026-11-22, UTC: far from the ends of days, months and the horizon.
pub const NOON: i64 = 1_795_348_800_000;

/// Which process, and its how-manieth life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Number of the process.
    pub number: usize,
    /// Rises with every start.
    pub life: u32,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.number, self.life)
    }
}

/// What is asked for: it decides which fates are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing changes.
    Read,
    /// Something changes, in the order of the asker's connection: never after what the same process sends later.
    Ordered,
    /// Something changes, at once or never, also when the process dies over it.
    Prompt,
    /// Something changes, and may do so after the asker has given up waiting.
    Free,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was done.
    Refused,
    /// Nobody can say.
    Unknown,
}

/// Everything there is.
pub struct State {
    /// The one source of chance.
    pub chance: ChaCha8Rng,
    /// What happened.
    pub trace: Trace,
    /// What may go wrong at the moment.
    pub faults: Faults,
    /// The event log with its groups.
    pub log: LogState,
    /// The compacted topics.
    pub topics: Topics,
    /// ClickHouse.
    pub tables: TablesState,
    /// Postgres.
    pub ledger: LedgerState,
    /// The spools' disks by process.
    pub disks: Vec<Platter>,
    /// What is done at this moment is the last of a process.
    pub dying: bool,
    /// Processes that die now and are to be swept away.
    pub doomed: Vec<Node>,
    /// Processes that died: what they held goes without a word.
    pub dead: BTreeSet<Node>,
    /// What must never be seen and was.
    pub broken: Vec<String>,
    /// Changes that are still under way although nobody waits for them.
    pub late: usize,
    skew_ms: Vec<i64>,
    /// Some clock was off at some time.
    pub skewed: bool,
}

struct Inner {
    seed: u64,
    began: Instant,
    state: Mutex<State>,
    /// Rung at every change of the log or of who owns what.
    news: Notify,
}

/// A handle; cheap to clone.
#[derive(Clone)]
pub struct World(Arc<Inner>);

impl World {
    /// An empty world; must be made within the runtime whose time it uses.
    pub fn new(seed: u64, partitions: u32, nodes: usize, traced: bool) -> World {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let faults = Faults::draw(&mut chance);
        let refuses_stale = chance.random_bool(0.5);
        World(Arc::new(Inner {
            seed,
            began: Instant::now(),
            state: Mutex::new(State {
                trace: Trace::new(traced),
                faults,
                log: LogState::new(partitions),
                topics: Topics::new(refuses_stale),
                tables: TablesState::default(),
                ledger: LedgerState::default(),
                disks: (0..nodes).map(|_| Platter::default()).collect(),
                dying: false,
                doomed: Vec::new(),
                broken: Vec::new(),
                late: 0,
                dead: BTreeSet::new(),
                skew_ms: vec![0; nodes],
                skewed: false,
                chance,
            }),
            news: Notify::new(),
        }))
    }

    /// The state. Never held over a wait.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the beginning.
    pub fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// True time of day.
    pub fn true_now(&self) -> Millis {
        Millis(NOON + self.elapsed_ms())
    }

    /// What the clock of a process shows.
    pub fn clock_of(&self, node: usize) -> Millis {
        let skew = self.state().skew_ms[node];
        self.true_now().plus(skew)
    }

    /// Moves the clock of a process.
    pub fn skew(&self, node: usize, by_ms: i64) {
        let state = &mut *self.state();
        state.skew_ms[node] = by_ms;
        state.skewed |= by_ms != 0;
    }

    /// Writes a line of the trace.
    pub fn note(&self, line: &str) {
        let at = self.elapsed_ms();
        self.state().trace.note(at, line);
    }

    /// A number from chance.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.state().chance)
    }

    /// Wakes whoever waits for something new.
    pub fn ring(&self) {
        self.0.news.notify_waiters();
    }

    /// Hears of something new.
    pub fn news(&self) -> Notified<'_> {
        self.0.news.notified()
    }

    /// A yes or no that depends on the seed and on `whom` alone, and not on what is drawn before.
    pub fn draw_for(&self, likely: f64, whom: &str) -> bool {
        let dice = print(whom.as_bytes()) ^ self.0.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let dice = print(&dice.to_be_bytes()) >> 11;
        (dice as f64) < likely * (1u64 << 53) as f64
    }

    /// A process dies at this moment.
    pub fn kill(&self, node: Node) {
        {
            let state = &mut *self.state();
            state.doomed.push(node);
            state.dead.insert(node);
        }
        self.ring();
    }

    /// A request on its way to a store, and what becomes of it.
    pub async fn ask<T, F>(&self, node: Node, asked: Asked, what: impl Into<String>, effect: F) -> Result<T, Lost>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> T + Send + 'static,
    {
        let what = what.into();
        let (fate, there, back) = {
            let state = &mut *self.state();
            state.faults.fate(asked, &mut state.chance)
        };
        sleep(there).await;
        let at = self.elapsed_ms();
        match fate {
            Fate::Done => {
                let answer = {
                    let state = &mut *self.state();
                    state.trace.note(at, &format!("{node} {what}"));
                    effect(state)
                };
                sleep(back).await;
                Ok(answer)
            }
            Fate::Unanswered => {
                {
                    let state = &mut *self.state();
                    state.trace.note(at, &format!("{node} {what}: done, the answer is lost"));
                    effect(state);
                }
                sleep(back).await;
                Err(Lost::Unknown)
            }
            Fate::Refused => {
                self.note(&format!("{node} {what}: refused"));
                sleep(back).await;
                Err(Lost::Refused)
            }
            Fate::Late(after) => {
                self.note(&format!(
                    "{node} {what}: will be done {} ms later, the answer is lost",
                    after.as_millis()
                ));
                self.later(after, effect);
                sleep(back).await;
                Err(Lost::Unknown)
            }
            Fate::Death { done, late } => {
                let words = match (done, late) {
                    (true, _) => "done, and",
                    (false, Some(_)) => "under way, and",
                    (false, None) => "not sent, and",
                };
                self.note(&format!("{node} {what}: {words} the process dies"));
                if done {
                    let state = &mut *self.state();
                    state.dying = true;
                    effect(state);
                    state.dying = false;
                } else if let Some(after) = late {
                    self.later(after, effect);
                }
                self.kill(node);
                std::future::pending().await
            }
        }
    }

    fn later<T>(&self, after: Duration, effect: impl FnOnce(&mut State) -> T + Send + 'static) {
        self.state().late += 1;
        let world = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            {
                let state = &mut *world.state();
                state.late -= 1;
                state.trace.note(world.elapsed_ms(), "      done late");
                effect(state);
            }
            world.ring();
        });
    }
}
