//! Which part suffers what, and when: drawn from a seed, spread over the events that are acknowledged.

use std::fmt;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::task::JoinSet;

use super::ground::{Part, Parts};

/// What happens to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// SIGTERM; of nodes.
    End,
    /// SIGSTOP, then SIGCONT.
    Freeze,
    /// Its wire is cut; of stores that have one.
    Cut,
    /// Its wire is slow.
    Slow,
    /// Its disk is full; of nodes' spools and the broker, where that is small.
    Fill,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "kill -9",
            Fault::End => "end",
            Fault::Freeze => "freeze",
            Fault::Cut => "cut wire",
            Fault::Slow => "slow wire",
            Fault::Fill => "full disk",
        })
    }
}

/// One fault to come.
#[derive(Debug, Clone, Copy)]
struct Planned {
    part: Part,
    fault: Fault,
    lasting: Duration,
}

/// One that came.
#[derive(Debug, Clone, Serialize)]
pub struct Happened {
    /// Requests acknowledged when it began.
    pub acknowledged: u64,
    /// Which part.
    pub part: String,
    /// What, for how long.
    pub what: String,
}

/// All faults of a run.
pub struct Schedule(Vec<Planned>);

/// Most faults are short; one in five lasts longer than a session of a group and than the intake waits for the log.
const SHORT_MS: std::ops::Range<u64> = 50..3_000;
const LONG_MS: std::ops::Range<u64> = 11_000..20_000;

/// How often it is looked whether the next fault is due.
const LOOK: Duration = Duration::from_millis(50);

impl Schedule {
    /// Draws `count` faults for these parts.
    pub async fn draw(seed: u64, count: u64, parts: &Parts) -> Schedule {
        let has_small_broker_disk = parts.has_small_broker_disk().await;
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let draw = |_| {
            // Nodes are what is tested: every second fault is theirs.
            let part = match chance.random_range(0..8) {
                0..4 => Part::Node(chance.random_range(0..parts.nodes())),
                4..6 => Part::Kafka,
                6 => Part::Postgres,
                _ => Part::ClickHouse,
            };
            let faults: &[Fault] = match part {
                Part::Node(_) if parts.has_small_disks() => {
                    &[Fault::Kill, Fault::Kill, Fault::End, Fault::Freeze, Fault::Fill, Fault::Fill]
                }
                Part::Node(_) => &[Fault::Kill, Fault::Kill, Fault::Kill, Fault::End, Fault::Freeze],
                Part::Kafka if has_small_broker_disk => &[Fault::Kill, Fault::Freeze, Fault::Fill],
                Part::Kafka => &[Fault::Kill, Fault::Freeze],
                Part::Postgres | Part::ClickHouse => &[Fault::Kill, Fault::Kill, Fault::Freeze, Fault::Cut, Fault::Slow],
            };
            let fault = faults[chance.random_range(0..faults.len())];
            let lasting = match chance.random_bool(0.2) {
                true => chance.random_range(LONG_MS),
                false => chance.random_range(SHORT_MS),
            };
            Planned {
                part,
                fault,
                lasting: Duration::from_millis(lasting),
            }
        };
        Schedule((0..count).map(draw).collect())
    }

    /// Lets them happen, the `n`-th when that share of `events` is acknowledged, until all are over; those that the load ended too
    /// early for do not happen. Faults of different parts overlap; those of one part come one after the other.
    pub async fn happen(self, parts: &Parts, events: u64, acknowledged: impl Fn() -> u64, over: impl Fn() -> bool) -> Vec<Happened> {
        let (count, mut happened, mut under_way) = (self.0.len() as u64, Vec::new(), JoinSet::new());
        for (n, planned) in self.0.into_iter().enumerate() {
            let due = events * (n as u64 + 1) / (count + 1);
            while acknowledged() < due && !over() {
                tokio::time::sleep(LOOK).await;
            }
            if over() {
                break;
            }
            happened.push(Happened {
                acknowledged: acknowledged(),
                part: planned.part.to_string(),
                what: format!("{} for {} ms", planned.fault, planned.lasting.as_millis()),
            });
            let parts = parts.clone();
            under_way.spawn(async move { parts.suffer(planned.part, planned.fault, planned.lasting).await });
        }
        while let Some(done) = under_way.join_next().await {
            if let Err(error) = done.map_err(anyhow::Error::from).flatten() {
                eprintln!("a fault did not happen: {error:#}");
            }
        }
        happened
    }
}
