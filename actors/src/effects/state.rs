//! What the group shows of itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use trunkline_core::instant::Millis;

/// One partition that this member reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionEffects {
    /// Under which every write goes.
    pub epoch: i64,
    /// First offset that has had no effect yet.
    pub next: i64,
    /// The offset that the log's next record will have, as last seen.
    pub end: i64,
}

/// The state of the group in this process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EffectsState {
    /// By partition.
    pub partitions: BTreeMap<u32, PartitionEffects>,
    /// Records in the log that have had no effect yet.
    pub behind_records: i64,
    /// Age of the newest record when its batch was written; grows with a backlog.
    pub lag_ms: i64,
    /// Records accounted for since start, those of no call included.
    pub events: u64,
    /// Records that could not be read or applied, since start.
    pub set_aside: u64,
    /// States of calls written since start.
    pub calls_written: u64,
    /// Calls moved to another business or day since start.
    pub calls_moved: u64,
    /// Times another member owned a partition when a batch was to be written, since start.
    pub stale_writes: u64,
    /// Attempts that failed since start.
    pub failures: u64,
    /// Why it waits; missing while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// When something was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Millis>,
}

/// The state as writer and onlookers share it.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<EffectsState>);

impl Shared {
    pub fn state(&self) -> EffectsState {
        self.lock().clone()
    }

    /// Changes the state and brings what follows from it up to date.
    pub fn change(&self, change: impl FnOnce(&mut EffectsState)) {
        let mut state = self.lock();
        change(&mut state);
        state.behind_records = state.partitions.values().map(|at| (at.end - at.next).max(0)).sum();
        metrics::gauge!("trunkline_log_lag_records", "group" => super::GROUP).set(state.behind_records as f64);
    }

    pub fn forget_partitions(&self) {
        self.change(|state| state.partitions.clear());
    }

    fn lock(&self) -> MutexGuard<'_, EffectsState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
