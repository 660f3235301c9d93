//! Looks for planted bugs: runs seeds with one bug turned on until something is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::plant::Bug;
use crate::run::run;
use crate::switch;

/// What became of the hunt for one bug.
#[derive(Debug, Clone)]
pub struct Hunted {
    /// Its name.
    pub name: String,
    /// Seeds that were run until it was found; `None`: it was not.
    pub found_at: Option<u64>,
    /// The invariant that it broke.
    pub broken: String,
}

/// Looks for each bug, in seeds from `from` on, on so many threads. `None` where no bugs are planted.
pub fn hunt(bugs: &[Bug], from: u64, threads: usize, tell: impl Fn(&Bug, &Hunted) + Sync) -> Option<Vec<Hunted>> {
    if !switch::set("") {
        return None;
    }
    let (next, hunted) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = hunt_one(bug, from);
                    tell(bug, &result);
                    hunted.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    Some(hunted.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn hunt_one(bug: &Bug, from: u64) -> Hunted {
    switch::set(&bug.name);
    let mut hunted = Hunted {
        name: bug.name.clone(),
        found_at: None,
        broken: String::new(),
    };
    for tried in 1..=bug.seeds {
        let seed = from + tried - 1;
        let found = catch_unwind(AssertUnwindSafe(|| run(seed, false).found));
        let found = found.unwrap_or_else(|_| vec!["panic: the product".to_owned()]);
        let invariant = |what: &String| what.split(':').next().unwrap_or_default().to_owned();
        if let Some(broken) = found.iter().map(invariant).find(|broken| bug.breaks.contains(broken)) {
            (hunted.found_at, hunted.broken) = (Some(tried), broken);
            break;
        }
    }
    switch::set("");
    hunted
}
