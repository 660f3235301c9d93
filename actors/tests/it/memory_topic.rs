//! A compacted topic in memory, for tests that break it in the middle of a write.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use trunkline_stores::log::LogError;
use trunkline_stores::log::compacted::{CompactedTopic, Kept, Put, PutError, Reading};

/// No limit to what is written.
const ENDLESS: i64 = i64::MAX;

/// Values by partition and key.
type Values = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

/// The topic.
pub struct MemoryTopic {
    values: Mutex<Values>,
    claims: Mutex<HashMap<u32, i64>>,
    /// Changes that are still written; then every write fails, the one under way in its middle.
    left: AtomicI64,
    /// Changes written.
    pub written: AtomicI64,
    /// This key is read as written under an epoch that another claim had ended.
    pub late: Mutex<Option<Vec<u8>>>,
}

impl Default for MemoryTopic {
    fn default() -> Self {
        MemoryTopic {
            values: Mutex::default(),
            claims: Mutex::default(),
            left: AtomicI64::new(ENDLESS),
            written: AtomicI64::new(0),
            late: Mutex::default(),
        }
    }
}

impl MemoryTopic {
    /// Dies after so many changes.
    pub fn die_after(&self, changes: i64) {
        self.left.store(changes, Ordering::SeqCst);
    }

    pub fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    pub fn revive(&self) {
        self.left.store(ENDLESS, Ordering::SeqCst);
    }

    /// All keys of a partition with their values.
    pub fn of(&self, partition: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
        let values = self.values.lock().unwrap();
        let of = values.iter().filter(|((of, _), _)| *of == partition);
        of.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    /// Removes what is kept, but for one key, behind the owner's back.
    pub fn remove_all_but(&self, kept: &[u8]) {
        self.values.lock().unwrap().retain(|(_, key), _| key == kept);
    }

    /// Changes what is kept behind the owner's back.
    pub fn bend(&self, bend: impl Fn(u32, &[u8], &mut Vec<u8>)) {
        for ((partition, key), value) in self.values.lock().unwrap().iter_mut() {
            bend(*partition, key, value);
        }
    }
}

#[async_trait]
impl CompactedTopic for MemoryTopic {
    async fn claim(&self, partition: u32) -> Result<i64, LogError> {
        let mut claims = self.claims.lock().unwrap();
        let epoch = claims.entry(partition).or_default();
        *epoch += 1;
        Ok(*epoch)
    }

    async fn put(&self, partition: u32, epoch: i64, puts: Vec<Put>) -> Result<(), PutError> {
        if self.claims.lock().unwrap().get(&partition) != Some(&epoch) {
            return Err(PutError::Stale(partition));
        }
        for put in puts {
            if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
                return Err(LogError::Unavailable("a fault for a test".into()).into());
            }
            self.written.fetch_add(1, Ordering::SeqCst);
            let mut values = self.values.lock().unwrap();
            match put.value {
                Some(value) => drop(values.insert((partition, put.key), value)),
                None => drop(values.remove(&(partition, put.key))),
            }
        }
        Ok(())
    }

    async fn read(&self, partition: u32, _: i64) -> Result<Reading, LogError> {
        let late = self.late.lock().unwrap().clone();
        let kept: Vec<Kept> = self
            .of(partition)
            .into_iter()
            .map(|(key, value)| Kept {
                late: late.as_ref() == Some(&key),
                key: Bytes::from(key),
                value: Some(Bytes::from(value)),
            })
            .collect();
        let (sender, reading) = mpsc::channel(1);
        let _ = sender.send(Ok(kept)).await;
        Ok(reading)
    }
}
