//! The threads on which actors live.

use actix::{Arbiter, ArbiterHandle};

/// A fixed set of actix arbiters; a partition and all its actors share one, so their messages never cross threads.
pub(crate) struct Arbiters {
    arbiters: Vec<Arbiter>,
}

impl Arbiters {
    /// Starts `count` threads; must be called inside an actix system.
    pub(crate) fn start(count: usize) -> Arbiters {
        Arbiters {
            arbiters: (0..count.max(1)).map(|_| Arbiter::new()).collect(),
        }
    }

    /// The thread of partition `partition`.
    pub(crate) fn of(&self, partition: u32) -> ArbiterHandle {
        self.arbiters[partition as usize % self.arbiters.len()].handle()
    }

    /// Ends the threads and waits for them.
    pub(crate) fn stop(self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        for arbiter in self.arbiters {
            let _ = arbiter.join();
        }
    }
}
