//! What is known of calls while their partition is away: at a rebalance, or when the log was lost. Most come back as they went, and then nobody
//! has to read the calls from their records again, which takes far longer than the absence.

use std::collections::BTreeMap;

use super::cache::Cache;

/// The calls, and where the group was with partitions that are away. Bounded by the cache: what is away is the longest unused and leaves first.
#[derive(Default)]
pub(super) struct Remembered {
    pub cache: Cache,
    away: BTreeMap<u32, [i64; 2]>,
}

impl Remembered {
    /// A partition goes. The group has done everything of it below `next`, or below `trying` if the log has heard the last word.
    pub fn leave(&mut self, partition: u32, next: i64, trying: Option<i64>) {
        self.away.insert(partition, [next, trying.unwrap_or(next)]);
    }

    /// A partition comes, and the group goes on with it at `next`: where it was when it went, or what is known of its calls is old.
    pub fn come(&mut self, partition: u32, next: i64) {
        match self.away.remove(&partition) {
            Some(was) if was.contains(&next) => self.cache.doubt_partition(partition),
            _ => self.cache.drop_partition(partition),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_core::call::Call;
    use trunkline_core::id::{CallKey, Kind, TenantId, WorkspaceId};
    use uuid::Uuid;

    use super::*;
    use crate::facts::cache::Held;

    fn key(id: &str) -> CallKey {
        CallKey {
            tenant: TenantId(Uuid::nil()),
            kind: Kind::Call,
            id: Arc::from(id),
        }
    }

    fn remembered() -> Remembered {
        let mut remembered = Remembered::default();
        for (id, partition) in [("one", 1), ("two", 2)] {
            let held = Held {
                call: Call::new(key(id), WorkspaceId(Uuid::nil())),
                known: Vec::new(),
                transcript_changed: false,
                is_doubted: false,
                partition,
            };
            remembered.cache.put(key(id), held);
        }
        remembered
    }

    #[test]
    fn a_partition_that_comes_back_as_it_went_keeps_its_calls_in_doubt() {
        for next in [100, 120] {
            let mut remembered = remembered();
            remembered.leave(1, 100, Some(120));
            remembered.come(1, next);
            assert!(remembered.cache.doubts(&key("one")), "{next}");
            assert!(remembered.cache.holds(&key("two")) && !remembered.cache.doubts(&key("two")));
            let held = remembered.cache.take(&key("one")).unwrap();
            assert!(held.transcript_changed, "whether it was written nobody knows");
        }
    }

    #[test]
    fn one_that_others_went_on_with_is_forgotten() {
        let mut remembered = remembered();
        remembered.leave(1, 100, None);
        remembered.come(1, 101);
        assert!(!remembered.cache.holds(&key("one")));
        // Nobody knows where this one was.
        remembered.come(2, 100);
        assert!(!remembered.cache.holds(&key("two")));
    }
}
