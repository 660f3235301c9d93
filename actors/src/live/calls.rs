//! The calls of a partition by their keys.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use trunkline_core::id::CallKey;

use super::entry::Entry;

/// A table whose keys are in its entries, and whose entries are boxed: half of its places are empty at times, and there are very many calls.
#[derive(Default)]
pub(super) struct Calls {
    entries: HashTable<Box<Entry>>,
    hasher: RandomState,
}

impl Calls {
    pub(super) fn get(&self, key: &CallKey) -> Option<&Entry> {
        let found = self.entries.find(self.hasher.hash_one(key), |entry| entry.key == *key);
        found.map(|entry| &**entry)
    }

    pub(super) fn get_mut(&mut self, key: &CallKey) -> Option<&mut Entry> {
        let found = self.entries.find_mut(self.hasher.hash_one(key), |entry| entry.key == *key);
        found.map(|entry| &mut **entry)
    }

    pub(super) fn contains(&self, key: &CallKey) -> bool {
        self.get(key).is_some()
    }

    /// Takes an entry in place of the one of the same key.
    pub(super) fn insert(&mut self, entry: Entry) {
        let hash = self.hasher.hash_one(&entry.key);
        match self.entries.find_mut(hash, |known| known.key == entry.key) {
            Some(known) => **known = entry,
            None => {
                let hasher = &self.hasher;
                self.entries
                    .insert_unique(hash, Box::new(entry), |entry| hasher.hash_one(&entry.key));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &CallKey) {
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.entries.find_entry(hash, |entry| entry.key == *key) {
            found.remove();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// In no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// In no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().map(|entry| &mut **entry)
    }
}
