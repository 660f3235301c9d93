//! Compacted topics in memory: the kind that refuses a stale owner (Postgres), and the kind that tells its readers (Kafka).

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use bytes::Bytes;
use rand::Rng as _;
use tokio::sync::mpsc;
use trunkline_stores::log::LogError;
use trunkline_stores::log::compacted::{CompactedTopic, Kept, Put, PutError, Reading};

use crate::log::away;
use crate::trace::print;
use crate::world::{Asked, Lost, Node, World};

/// A value, and whether it was written too late.
type Value = (Option<Vec<u8>>, bool);

/// The partition of a topic.
#[derive(Default)]
struct Part {
    epoch: i64,
    values: BTreeMap<Vec<u8>, Value>,
    /// What there was at each claim.
    claims: HashMap<i64, BTreeMap<Vec<u8>, Value>>,
}

/// All topics.
pub struct Topics {
    refuses_stale: bool,
    parts: BTreeMap<(String, u32), Part>,
    /// Puts of an owner that had been succeeded, so far.
    pub stale_puts: u64,
    /// Puts that broke off in their middle, so far.
    pub torn_puts: u64,
}

impl Topics {
    /// None yet. With `refuses_stale` what a former owner writes is refused, else its readers are told.
    pub fn new(refuses_stale: bool) -> Topics {
        Topics {
            refuses_stale,
            parts: BTreeMap::new(),
            stale_puts: 0,
            torn_puts: 0,
        }
    }

    fn part(&mut self, name: &str, partition: u32) -> &mut Part {
        self.parts.entry((name.to_owned(), partition)).or_default()
    }

    /// Flips a byte of some stored value: a disk does that. False when there is none.
    pub fn damage(&mut self, pick: usize) -> bool {
        let mut values: Vec<&mut Vec<u8>> = self
            .parts
            .values_mut()
            .flat_map(|part| part.values.values_mut())
            .filter_map(|(value, _)| value.as_mut())
            .filter(|value| !value.is_empty())
            .collect();
        if values.is_empty() {
            return false;
        }
        let place = pick % values.len();
        let at = pick % values[place].len();
        values[place][at] ^= 0x20;
        true
    }
}

/// A topic as one process sees it.
pub struct Topic {
    world: World,
    node: Node,
    name: String,
}

impl Topic {
    /// The topic of this name.
    pub fn new(world: World, node: Node, name: &str) -> Topic {
        Topic {
            world,
            node,
            name: name.to_owned(),
        }
    }
}

#[async_trait]
impl CompactedTopic for Topic {
    async fn claim(&self, partition: u32) -> Result<i64, LogError> {
        let name = self.name.clone();
        let claimed = self
            .world
            .ask(self.node, Asked::Ordered, format!("claim {name} {partition}"), move |state| {
                let part = state.topics.part(&name, partition);
                part.epoch += 1;
                let there = part.values.clone();
                part.claims.insert(part.epoch, there);
                part.epoch
            });
        claimed.await.map_err(away)
    }

    async fn put(&self, partition: u32, epoch: i64, puts: Vec<Put>) -> Result<(), PutError> {
        let name = self.name.clone();
        let prints: Vec<String> = puts
            .iter()
            .map(|put| {
                format!(
                    "{:04x}={:04x}",
                    print(&put.key) & 0xffff,
                    put.value.as_ref().map_or(0, |value| print(value) & 0xffff)
                )
            })
            .collect();
        let what = format!("put {name} {partition} under {epoch}: {}", prints.join(" "));
        let put = self.world.ask(self.node, Asked::Ordered, what, move |state| {
            let torn = !state.faults.off && puts.len() > 1 && state.chance.random_bool(state.faults.torn);
            let until = if torn {
                state.chance.random_range(0..puts.len())
            } else {
                puts.len()
            };
            let topics = &mut state.topics;
            let refuses = topics.refuses_stale;
            let part = topics.part(&name, partition);
            let late = part.epoch != epoch;
            if late && refuses {
                topics.stale_puts += 1;
                return Err(PutError::Stale(partition));
            }
            for put in puts.into_iter().take(until) {
                part.values.insert(put.key, (put.value, late));
            }
            topics.stale_puts += u64::from(late);
            topics.torn_puts += u64::from(torn);
            if torn {
                return Err(LogError::Unavailable("it broke off".to_owned()).into());
            }
            Ok(())
        });
        put.await.map_err(|lost: Lost| PutError::Log(away(lost)))?
    }

    async fn read(&self, partition: u32, epoch: i64) -> Result<Reading, LogError> {
        let name = self.name.clone();
        let what = format!("read {name} {partition} as of {epoch}");
        let read = self.world.ask(self.node, Asked::Read, what, move |state| {
            let part = state.topics.part(&name, partition);
            part.claims.get(&epoch).cloned().unwrap_or_default()
        });
        let values = read.await.map_err(away)?;
        let kept = values.into_iter().map(|(key, (value, late))| Kept {
            key: Bytes::from(key),
            value: value.map(Bytes::from),
            late,
        });
        let (sender, reading) = mpsc::channel(1);
        let _ = sender.try_send(Ok(kept.collect()));
        Ok(reading)
    }
}
