//! The event log in memory, behind the product's own port.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_core::instant::Millis;
use trunkline_stores::log::partitioner::partition_of;
use trunkline_stores::log::{AppendError, CompactedTopic, EventLog, LogError, LogRecord, Position, Subscription};

use crate::group::{Group, Member};
use crate::topic::Topic;
use crate::trace::print;
use crate::world::{Asked, Lost, Node, World};

/// Partitions and groups.
pub struct LogState {
    /// The records of each partition.
    pub partitions: Vec<Vec<LogRecord>>,
    /// The groups by name.
    pub groups: BTreeMap<String, Group>,
}

impl LogState {
    /// Empty.
    pub fn new(partitions: u32) -> LogState {
        LogState {
            partitions: vec![Vec::new(); partitions as usize],
            groups: BTreeMap::new(),
        }
    }

    /// How many partitions there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// The offset that the next record of a partition will have.
    pub fn end(&self, partition: u32) -> i64 {
        i64::try_from(self.partitions[partition as usize].len()).unwrap_or(i64::MAX)
    }

    /// All records, partition by partition.
    pub fn records(&self) -> impl Iterator<Item = &LogRecord> {
        self.partitions.iter().flatten()
    }

    fn append(&mut self, key: &str, bytes: Bytes, at: Millis) -> Position {
        let partition = partition_of(key, self.count());
        let position = Position {
            partition,
            offset: self.end(partition),
        };
        self.partitions[partition as usize].push(LogRecord {
            position,
            appended_at: at,
            bytes,
        });
        position
    }

    /// Up to `max` records from `from`.
    pub fn slice(&self, partition: u32, from: i64, max: usize) -> Vec<LogRecord> {
        let from = usize::try_from(from).unwrap_or(0);
        self.partitions[partition as usize].iter().skip(from).take(max).cloned().collect()
    }
}

/// The log as one process sees it.
#[derive(Clone)]
pub struct Log {
    /// The world it is in.
    pub world: World,
    /// Whose it is.
    pub node: Node,
    partitions: u32,
}

/// Identity of the log.
pub const IDENTITY: &str = "simulated";

pub(crate) fn away(lost: Lost) -> LogError {
    LogError::Unavailable(match lost {
        Lost::Refused => "refused".to_owned(),
        Lost::Unknown => "no answer".to_owned(),
    })
}

impl Log {
    /// The log for one life of a process.
    pub fn new(world: &World, node: Node) -> Log {
        let partitions = world.state().log.count();
        Log {
            world: world.clone(),
            node,
            partitions,
        }
    }

    fn in_span(partition: u32, wanted: i64, end: i64) -> Result<(), LogError> {
        if (0..=end).contains(&wanted) {
            return Ok(());
        }
        Err(LogError::Gone {
            partition,
            wanted,
            begins: 0,
        })
    }
}

#[async_trait]
impl EventLog for Log {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn identity(&self) -> &str {
        IDENTITY
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        let what = format!("append {key} {:016x}", print(&bytes));
        let (key, world) = (key.to_owned(), self.world.clone());
        let appended = self.world.ask(self.node, Asked::Free, what, move |state| {
            let at = world.true_now();
            let position = state.log.append(&key, bytes, at);
            let (partition, offset) = (position.partition, position.offset);
            state
                .trace
                .note(world.elapsed_ms(), &format!("      log {partition}:{offset} {key}"));
            world.ring();
            position
        });
        appended.await.map_err(|lost| match lost {
            Lost::Refused => AppendError::Unavailable("refused".to_owned()),
            Lost::Unknown => AppendError::Unknown,
        })
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        let what = format!("join {group}");
        let (name, node, world) = (group.to_owned(), self.node, self.world.clone());
        let joined = self.world.ask(self.node, Asked::Read, what, move |state| {
            let partitions = state.log.count();
            let group = state.log.groups.entry(name).or_insert_with(|| Group::new(partitions));
            let member = group.join(node, &mut state.chance);
            world.ring();
            member
        });
        let member = joined.await.map_err(away)?;
        Ok(Box::new(Member::new(self.world.clone(), self.node, group, member)))
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        let asked = self
            .world
            .ask(self.node, Asked::Read, format!("span of {partition}"), move |state| {
                state.log.end(partition)
            });
        Ok((0, asked.await.map_err(away)?))
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        let what = format!("offset of {partition} at {}", at.0);
        let asked = self.world.ask(self.node, Asked::Read, what, move |state| {
            let records = &state.log.partitions[partition as usize];
            records.iter().position(|record| record.appended_at >= at).unwrap_or(records.len()) as i64
        });
        asked.await.map_err(away)
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        let what = format!("read {max} of {partition} from {from}");
        let asked = self.world.ask(self.node, Asked::Read, what, move |state| {
            let few = if state.faults.off { max } else { max.min(7) };
            Log::in_span(partition, from, state.log.end(partition))?;
            Ok(state.log.slice(partition, from, few))
        });
        asked.await.map_err(away)?
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        let name = group.to_owned();
        let asked = self
            .world
            .ask(self.node, Asked::Read, format!("committed of {group}"), move |state| {
                let group = state.log.groups.get(&name);
                group.map(|group| group.committed.iter().map(|(partition, (next, _))| (*partition, *next)).collect())
            });
        Ok(asked.await.map_err(away)?.unwrap_or_default())
    }

    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        Ok(Arc::new(Topic::new(self.world.clone(), self.node, name)))
    }

    async fn healthy(&self) -> Result<(), LogError> {
        let asked = self.world.ask(self.node, Asked::Read, "is the log there", |_| ());
        asked.await.map_err(away)
    }

    async fn close(&self) {}
}
