//! The calls in memory: those that had an event lately, bounded in bytes.

use std::collections::{BTreeMap, HashMap};

use trunkline_core::call::Call;
use trunkline_core::id::CallKey;
use trunkline_stores::clickhouse::Known;

/// A call and where the table has it.
pub(super) struct Held {
    /// Folded from all records below what was read.
    pub call: Call,
    /// Every place the table has for it.
    pub known: Vec<Known>,
    /// The stored transcript may differ from the call's.
    pub transcript_changed: bool,
    /// What the tables have of it may have changed meanwhile: its partition was away.
    pub is_doubted: bool,
    /// Partition of its records.
    pub partition: u32,
}

impl Held {
    /// What the tables have of it may differ from what is known here: it is asked again, and everything is written again.
    pub fn doubt(&mut self) {
        (self.is_doubted, self.transcript_changed) = (true, true);
    }
}

struct Slot {
    held: Held,
    bytes: usize,
    used: u64,
}

/// Calls by key; the longest unused leave first.
#[derive(Default)]
pub(super) struct Cache {
    calls: HashMap<CallKey, Slot>,
    order: BTreeMap<u64, CallKey>,
    bytes: usize,
    clock: u64,
}

/// Bookkeeping of one call beside what it says of itself: key, order and map entries.
const ENTRY_BYTES: usize = 512;

impl Cache {
    pub fn holds(&self, key: &CallKey) -> bool {
        self.calls.contains_key(key)
    }

    /// Whether a call is here and what the tables have of it has to be asked again.
    pub fn doubts(&self, key: &CallKey) -> bool {
        self.calls.get(key).is_some_and(|slot| slot.held.is_doubted)
    }

    /// Doubts a call ([`Held::doubt`]), if it is here.
    pub fn doubt(&mut self, key: &CallKey) {
        if let Some(slot) = self.calls.get_mut(key) {
            slot.held.doubt();
        }
    }

    /// Takes a call out to work on it.
    pub fn take(&mut self, key: &CallKey) -> Option<Held> {
        let slot = self.calls.remove(key)?;
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        Some(slot.held)
    }

    /// Puts a call in as the last used.
    pub fn put(&mut self, key: CallKey, held: Held) {
        self.take(&key);
        self.clock += 1;
        let bytes = held.call.memory_bytes() + ENTRY_BYTES;
        self.bytes += bytes;
        self.order.insert(self.clock, key.clone());
        self.calls.insert(
            key,
            Slot {
                held,
                bytes,
                used: self.clock,
            },
        );
    }

    /// Lets the longest unused go until no more than `limit` bytes are held.
    pub fn shrink(&mut self, limit: usize) {
        while self.bytes > limit {
            let Some(key) = self.order.first_key_value().map(|(_, key)| key.clone()) else {
                return;
            };
            self.take(&key);
        }
    }

    /// Takes the calls of a partition out, the longest unused first.
    pub fn take_partition(&mut self, partition: u32) -> Vec<(CallKey, Held)> {
        let is_of_it = |key: &&CallKey| self.calls.get(*key).is_some_and(|slot| slot.held.partition == partition);
        let keys: Vec<CallKey> = self.order.values().filter(is_of_it).cloned().collect();
        let taken = keys.into_iter().filter_map(|key| self.take(&key).map(|held| (key, held)));
        taken.collect()
    }

    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
