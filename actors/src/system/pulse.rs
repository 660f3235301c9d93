//! The pulse: the one place that reads the wall clock, and how everybody else learns of it.
//!
//! A timer inside a busy actor starves (measured: 0 of 200 ticks), so time is a value that is sent. A slow receiver sees
//! the newest pulse, never a queue of old ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;

/// How often the pulse beats. A board is never older than this plus its own interval; ten wake-ups a second cost nothing.
pub(crate) const PULSE_MS: u64 = 100;

/// What a clock and its hand share. A bell and no channel, because all who wait are to wake in the order in which they began to wait.
#[derive(Debug)]
struct Face {
    now_ms: AtomicI64,
    beats: AtomicU64,
    bell: Notify,
}

/// The newest pulse. Cheap to clone; never reads the system's clock itself.
#[derive(Debug, Clone)]
pub struct Clock {
    face: Arc<Face>,
    /// Beats that were waited for.
    heard: u64,
}

/// Moves a [`Clock`]: the pulse task's, or a test's.
#[derive(Debug)]
pub struct Hand(Arc<Face>);

impl Clock {
    /// A clock that only its hand moves.
    pub fn set_by_hand(at: Millis) -> (Hand, Clock) {
        let face = Arc::new(Face {
            now_ms: AtomicI64::new(at.0),
            beats: AtomicU64::new(0),
            bell: Notify::new(),
        });
        (Hand(Arc::clone(&face)), Clock { face, heard: 0 })
    }

    /// The newest pulse.
    pub fn now(&self) -> Millis {
        Millis(self.face.now_ms.load(Ordering::Acquire))
    }

    /// Waits for the next pulse; for ever, once nothing moves this clock any more.
    pub async fn beat(&mut self) -> Millis {
        loop {
            // Made before the look: a beat in between wakes it.
            let bell = self.face.bell.notified();
            let beats = self.face.beats.load(Ordering::Acquire);
            if beats != self.heard {
                self.heard = beats;
                return self.now();
            }
            bell.await;
        }
    }
}

impl Hand {
    /// Moves the clock; every receiver wakes.
    pub fn set(&self, at: Millis) {
        self.0.now_ms.store(at.0, Ordering::Release);
        self.0.beats.fetch_add(1, Ordering::AcqRel);
        self.0.bell.notify_waiters();
    }

    /// Moves the clock on by `span_ms`.
    pub fn advance(&self, span_ms: i64) {
        self.set(Millis(self.0.now_ms.load(Ordering::Acquire)).plus(span_ms));
    }
}

/// The time of `clock`, or the system's where none is given.
pub(crate) fn now(clock: &Option<Clock>) -> Millis {
    clock.as_ref().map_or_else(wall_clock, Clock::now)
}

/// Reads the wall clock.
pub(crate) fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Sends the time until `stop`.
pub(crate) async fn beat(hand: Arc<Hand>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(PULSE_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => hand.set(wall_clock()),
        }
    }
}
