//! An event log in memory, for tests that stop it, break it or look inside. The adapters have their own suites.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use trunkline_core::instant::Millis;
use trunkline_stores::log::{AppendError, CompactedTopic, Delivery, EventLog, LogError, LogRecord, Mark, Marking, Position, Subscription};

use crate::memory_topic::MemoryTopic;

/// Records of one delivery at most.
const DELIVERY: usize = 200;

#[derive(Default)]
struct Inner {
    partitions: Vec<Vec<LogRecord>>,
    holes: BTreeSet<(u32, i64)>,
    committed: HashMap<(String, u32), i64>,
}

pub struct MemoryLog {
    inner: Mutex<Inner>,
    grown: watch::Sender<u64>,
    pub now: Mutex<Millis>,
    pub away: AtomicBool,
    /// Most records delivered and not yet applied, as seen by pauses: delivered so far.
    pub delivered: AtomicUsize,
    pub pauses: AtomicUsize,
    /// The next look of a member panics.
    pub trip: AtomicBool,
    /// So many more looks of a member find that another one of its name has its place.
    pub fences: AtomicUsize,
    revoke: watch::Sender<Option<u32>>,
    pub topics: Mutex<HashMap<String, Arc<MemoryTopic>>>,
}

impl MemoryLog {
    pub fn new(partitions: usize) -> Arc<MemoryLog> {
        let inner = Inner {
            partitions: vec![Vec::new(); partitions],
            ..Inner::default()
        };
        Arc::new(MemoryLog {
            inner: Mutex::new(inner),
            grown: watch::channel(0).0,
            now: Mutex::new(Millis(0)),
            away: AtomicBool::new(false),
            delivered: AtomicUsize::new(0),
            pauses: AtomicUsize::new(0),
            trip: AtomicBool::new(false),
            fences: AtomicUsize::new(0),
            revoke: watch::channel(None).0,
            topics: Mutex::default(),
        })
    }

    pub fn partition_of(&self, key: &str) -> u32 {
        crc(key.as_bytes()) % self.partitions()
    }

    pub fn put(&self, key: &str, bytes: Bytes) -> Position {
        let partition = self.partition_of(key);
        let mut inner = self.inner.lock().unwrap();
        let records = &mut inner.partitions[partition as usize];
        let position = Position {
            partition,
            offset: records.len() as i64,
        };
        records.push(LogRecord {
            position,
            appended_at: *self.now.lock().unwrap(),
            bytes,
        });
        drop(inner);
        self.grown.send_modify(|n| *n += 1);
        position
    }

    /// Makes the log lose a record.
    pub fn lose(&self, position: Position) {
        self.inner.lock().unwrap().holes.insert((position.partition, position.offset));
    }

    /// Takes a partition away from every member for good.
    pub fn revoke(&self, partition: u32) {
        self.revoke.send_replace(Some(partition));
    }

    pub fn records(&self) -> Vec<LogRecord> {
        self.inner.lock().unwrap().partitions.iter().flatten().cloned().collect()
    }

    fn slice(&self, partition: u32, from: i64, max: usize) -> Vec<LogRecord> {
        let inner = self.inner.lock().unwrap();
        let from = from.max(0) as usize;
        let kept = |record: &&LogRecord| !inner.holes.contains(&(partition, record.position.offset));
        inner.partitions[partition as usize]
            .iter()
            .skip(from)
            .take(max)
            .filter(kept)
            .cloned()
            .collect()
    }
}

fn crc(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619))
}

/// The same log behind the port.
pub struct Port(pub Arc<MemoryLog>);

#[async_trait]
impl EventLog for Port {
    fn partitions(&self) -> u32 {
        self.0.partitions()
    }

    fn identity(&self) -> &str {
        "memory"
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        if self.0.away.load(Ordering::Relaxed) {
            return Err(AppendError::Unavailable("away".into()));
        }
        Ok(self.0.put(key, bytes))
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        Ok(Box::new(Member {
            log: Arc::clone(&self.0),
            group: group.to_owned(),
            next: HashMap::new(),
            paused: BTreeSet::new(),
            told: BTreeSet::new(),
            pending: (0..self.0.partitions())
                .map(|partition| Delivery::Assigned {
                    partition,
                    next: None,
                    intent: None,
                })
                .collect(),
            grown: self.0.grown.subscribe(),
            revoke: self.0.revoke.subscribe(),
        }))
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        Ok((0, self.0.inner.lock().unwrap().partitions[partition as usize].len() as i64))
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        let inner = self.0.inner.lock().unwrap();
        let records = &inner.partitions[partition as usize];
        Ok(records.iter().position(|record| record.appended_at >= at).unwrap_or(records.len()) as i64)
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        Ok(self.0.slice(partition, from, max))
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        let inner = self.0.inner.lock().unwrap();
        Ok(inner
            .committed
            .iter()
            .filter(|((of, _), _)| of == group)
            .map(|((_, p), next)| (*p, *next))
            .collect())
    }

    async fn compacted(&self, name: &str) -> Result<Arc<dyn CompactedTopic>, LogError> {
        Ok(self.0.topic(name))
    }

    async fn healthy(&self) -> Result<(), LogError> {
        if self.0.away.load(Ordering::Relaxed) {
            Err(LogError::Unavailable("away".into()))
        } else {
            Ok(())
        }
    }

    async fn close(&self) {}
}

impl MemoryLog {
    /// The topic of this name beside the log.
    pub fn topic(&self, name: &str) -> Arc<MemoryTopic> {
        Arc::clone(self.topics.lock().unwrap().entry(name.to_owned()).or_default())
    }

    fn partitions(&self) -> u32 {
        self.inner.lock().unwrap().partitions.len() as u32
    }
}

struct Member {
    log: Arc<MemoryLog>,
    group: String,
    next: HashMap<u32, i64>,
    paused: BTreeSet<u32>,
    told: BTreeSet<u32>,
    pending: VecDeque<Delivery>,
    grown: watch::Receiver<u64>,
    revoke: watch::Receiver<Option<u32>>,
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Delivery, LogError> {
        loop {
            if let Some(delivery) = self.pending.pop_front() {
                return Ok(delivery);
            }
            if self
                .log
                .fences
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                return Err(LogError::Fenced);
            }
            if self.log.away.load(Ordering::Relaxed) {
                return Err(LogError::Unavailable("away".into()));
            }
            assert!(!self.log.trip.swap(false, Ordering::Relaxed), "a fault for a test");
            self.grown.borrow_and_update();
            if let Some(partition) = *self.revoke.borrow_and_update()
                && self.next.remove(&partition).is_some()
            {
                return Ok(Delivery::Revoked { partition });
            }
            let open: Vec<(u32, i64)> = self
                .next
                .iter()
                .map(|(p, n)| (*p, *n))
                .filter(|(p, _)| !self.paused.contains(p))
                .collect();
            for (partition, next) in open {
                let records = self.log.slice(partition, next, DELIVERY);
                if let Some(last) = records.last() {
                    self.next.insert(partition, last.position.offset + 1);
                    self.told.remove(&partition);
                    self.log.delivered.fetch_add(records.len(), Ordering::Relaxed);
                    return Ok(Delivery::Batch { partition, records });
                }
                if self.told.insert(partition) {
                    return Ok(Delivery::CaughtUp { partition, next });
                }
            }
            tokio::select! {
                _ = self.grown.changed() => {}
                _ = self.revoke.changed() => {}
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
        }
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        self.next.insert(partition, offset);
        self.told.remove(&partition);
        Ok(())
    }

    fn pause(&mut self, partition: u32) {
        self.log.pauses.fetch_add(1, Ordering::Relaxed);
        self.paused.insert(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.paused.remove(&partition);
    }

    fn mark(&mut self, marks: &[Mark]) -> Marking {
        let (log, group, marks) = (Arc::clone(&self.log), self.group.clone(), marks.to_vec());
        Box::pin(async move {
            let committed = &mut log.inner.lock().unwrap().committed;
            for mark in marks {
                committed.insert((group.clone(), mark.partition), mark.next);
            }
            Ok(())
        })
    }

    async fn close(self: Box<Self>) {}
}
