//! The pulse: the one place that reads the wall clock, and how everybody else learns of it.
//!
//! A timer inside a busy actor starves (measured: 0 of 200 ticks), so time is a value that is sent. A slow receiver sees
//! the newest pulse, never a queue of old ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;

/// How often the pulse beats. A board is never older than this plus its own interval; ten wake-ups a second cost nothing.
pub(crate) const PULSE_MS: u64 = 100;

/// The newest pulse. Cheap to clone; never reads the system's clock itself.
#[derive(Debug, Clone)]
pub struct Clock(watch::Receiver<Millis>);

/// Moves a [`Clock`]: the pulse task's, or a test's.
#[derive(Debug)]
pub struct Hand(watch::Sender<Millis>);

impl Clock {
    /// A clock that only its hand moves.
    pub fn set_by_hand(at: Millis) -> (Hand, Clock) {
        let (sender, receiver) = watch::channel(at);
        (Hand(sender), Clock(receiver))
    }

    /// The newest pulse.
    pub fn now(&self) -> Millis {
        *self.0.borrow()
    }

    /// Waits for the next pulse; for ever, once nothing moves this clock any more.
    pub async fn beat(&mut self) -> Millis {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}

impl Hand {
    /// Moves the clock; every receiver wakes.
    pub fn set(&self, at: Millis) {
        self.0.send_replace(at);
    }

    /// Moves the clock on by `span_ms`.
    pub fn advance(&self, span_ms: i64) {
        self.0.send_modify(|now| *now = now.plus(span_ms));
    }
}

/// Reads the wall clock.
pub(crate) fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Sends the time until `stop`.
pub(crate) async fn beat(hand: std::sync::Arc<Hand>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(PULSE_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => hand.set(wall_clock()),
        }
    }
}
