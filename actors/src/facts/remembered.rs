//! What is known of calls while their partition is away: at a rebalance, or when the log was lost. Most come back as they went, and then nobody
//! has to read the calls from their records again, which takes far longer than the absence.

use std::collections::BTreeMap;

use trunkline_core::id::CallKey;

use super::cache::Cache;

/// The calls, and where the group was with partitions that are away.
#[derive(Default)]
pub(super) struct Remembered {
    /// Calls of partitions that are here.
    pub cache: Cache,
    /// Calls of those that are away. Nobody works with them: others may have gone on, and a batch that is repeated can have such calls in it.
    asleep: Cache,
    away: BTreeMap<u32, [i64; 2]>,
}

impl Remembered {
    /// A partition goes. The group has done everything of it below `next`, or below `trying` if the log has heard the last word. No more than
    /// `limit` bytes are kept of all that is away.
    pub fn leave(&mut self, partition: u32, next: i64, trying: Option<i64>, limit: usize) {
        self.away.insert(partition, [next, trying.unwrap_or(next)]);
        for (key, held) in self.cache.take_partition(partition) {
            self.asleep.put(key, held);
        }
        self.asleep.shrink(limit);
    }

    /// A batch is being repeated that has this call in it, and its partition is away.
    pub fn forget(&mut self, key: &CallKey) {
        self.asleep.take(key);
    }

    /// A partition comes, and the group goes on with it at `next`. If that is where it was when it went, its calls are as they were: to apply a
    /// record a second time changes nothing. Only what the tables have of them may have changed, and is asked again.
    pub fn come(&mut self, partition: u32, next: i64) {
        let calls = self.asleep.take_partition(partition);
        let was = self.away.remove(&partition);
        if was.is_some_and(|was| was.contains(&next)) {
            for (key, mut held) in calls {
                held.doubt();
                self.cache.put(key, held);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_core::call::Call;
    use trunkline_core::id::{Kind, TenantId, WorkspaceId};
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
            remembered.leave(1, 100, Some(120), usize::MAX);
            assert!(!remembered.cache.holds(&key("one")), "nobody works with it meanwhile");
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
        remembered.leave(1, 100, None, usize::MAX);
        remembered.come(1, 101);
        assert!(!remembered.cache.holds(&key("one")));
    }

    #[test]
    fn a_call_of_a_batch_that_is_repeated_meanwhile_is_read_again() {
        let mut remembered = remembered();
        remembered.leave(1, 100, None, usize::MAX);
        remembered.forget(&key("one"));
        remembered.come(1, 100);
        assert!(!remembered.cache.holds(&key("one")));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut remembered = remembered();
        remembered.leave(1, 100, None, 0);
        remembered.come(1, 100);
        assert!(!remembered.cache.holds(&key("one")) && remembered.cache.holds(&key("two")));
    }
}
