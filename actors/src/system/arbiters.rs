//! The threads on which actors live.

use actix::Arbiter;

/// A fixed set of actix arbiters; a partition and all its actors share one, so their messages never cross threads. With none, everything
/// lives on the thread, and in the set of local tasks, of whoever starts it.
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

    /// No threads of their own.
    pub(crate) fn none() -> Arbiters {
        Arbiters { arbiters: Vec::new() }
    }

    /// Calls `start` on the thread of partition `partition`. False when the thread is gone.
    pub(crate) fn spawn(&self, partition: u32, start: impl FnOnce() + Send + 'static) -> bool {
        if self.arbiters.is_empty() {
            start();
            return true;
        }
        self.arbiters[partition as usize % self.arbiters.len()].handle().spawn_fn(start)
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
