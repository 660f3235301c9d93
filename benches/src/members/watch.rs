//! When the first node has applied what: looks at its partitions again and again, and tells those that stayed from those that came or went.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trunkline_actors::Live;
use trunkline_stores::log::Position;

/// Between two looks; this is what the figures are exact to.
const LOOK: Duration = Duration::from_millis(1);

/// What is watched.
#[derive(Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    /// By partition: offsets that the log has, and since when; oldest first.
    waiting: BTreeMap<u32, VecDeque<(i64, Instant)>>,
    /// Partitions that have been here since the window began.
    stayed: BTreeSet<u32>,
    began: Option<Instant>,
    /// Events stored since then: partition, microseconds until they were applied.
    applied: Vec<(u32, u64)>,
}

/// What a window brought, in microseconds.
pub(super) struct Window {
    /// Events of partitions that stayed.
    pub stayed: Vec<u64>,
    /// Events of partitions that came or went, as far as they were applied here.
    pub went: Vec<u64>,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log has this record now.
    pub fn stored(&self, at: Position) {
        self.state()
            .waiting
            .entry(at.partition)
            .or_default()
            .push_back((at.offset, Instant::now()));
    }

    /// From now on.
    pub fn begin(&self) {
        let mut state = self.state();
        state.began = Some(Instant::now());
        state.applied.clear();
        state.stayed = (0..crate::topic::PARTITIONS.unsigned_abs()).collect();
    }

    /// Up to now.
    pub fn end(&self) -> Window {
        let mut state = self.state();
        state.began = None;
        let applied = std::mem::take(&mut state.applied);
        let of = |stays: bool| {
            let chosen = applied.iter().filter(|(partition, _)| state.stayed.contains(partition) == stays);
            chosen.map(|(_, us)| *us).collect()
        };
        Window {
            stayed: of(true),
            went: of(false),
        }
    }

    fn look(&self, live: &Live) {
        let (places, now) = (live.partitions(), Instant::now());
        let mut state = self.state();
        let state = &mut *state;
        let here: BTreeSet<u32> = places.iter().filter(|place| place.rebuilt).map(|place| place.partition).collect();
        state.stayed.retain(|partition| here.contains(partition));
        for place in places {
            let Some(waiting) = state.waiting.get_mut(&place.partition) else {
                continue;
            };
            // Reports come in any order, so the first that waits need not be the lowest.
            waiting.retain(|(offset, since)| {
                let is_applied = *offset < place.next;
                if is_applied && state.began.is_some_and(|began| *since >= began) {
                    state.applied.push((place.partition, (now - *since).as_micros() as u64));
                }
                !is_applied
            });
        }
    }
}

/// Looks until told to stop, on a thread of its own: a busy runtime must not be taken for a slow node.
pub(super) fn look(live: Live, watch: Arc<Watch>, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            watch.look(&live);
            std::thread::sleep(LOOK);
        }
    })
}
