//! What may go wrong with a request, and how likely that is in this run.

use std::time::Duration;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::world::Asked;

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// Done and answered.
    Done,
    /// Done; the answer is lost.
    Unanswered,
    /// Not done, and the asker is told.
    Refused,
    /// Done after the asker was told that nobody knows.
    Late(Duration),
    /// The process dies: after it was done, while it is under way, or before it was sent.
    Death {
        /// It was done before.
        done: bool,
        /// It is done after the death.
        late: Option<Duration>,
    },
}

/// Chances of this run, each from 0 to 1. Drawn anew for each seed, so that some runs are quiet and others are not.
#[derive(Debug, Clone)]
pub struct Faults {
    /// Nothing goes wrong any more.
    pub off: bool,
    refused: f64,
    unanswered: f64,
    late: f64,
    death: f64,
    slow: f64,
    /// A member of a group hears nothing but that the log is away.
    pub away: f64,
    /// A put breaks off in its middle.
    pub torn: f64,
    /// Longest usual way of a request.
    way_ms: u64,
}

/// What takes long takes up to this long: beyond the patience of every caller.
const SLOW_MS: u64 = 9_000;

impl Faults {
    /// The chances of a run.
    pub fn draw(chance: &mut ChaCha8Rng) -> Faults {
        let mut pick = |of: &[f64]| of[chance.random_range(0..of.len())];
        Faults {
            off: false,
            refused: pick(&[0.0, 0.01, 0.05, 0.15]),
            unanswered: pick(&[0.0, 0.02, 0.1, 0.3]),
            late: pick(&[0.0, 0.0, 0.03, 0.1]),
            death: pick(&[0.0, 0.002, 0.006, 0.015]),
            slow: pick(&[0.0, 0.0, 0.003, 0.02]),
            away: pick(&[0.0, 0.0, 0.002, 0.01]),
            torn: pick(&[0.0, 0.1, 0.4]),
            way_ms: [2, 5, 20][chance.random_range(0..3)],
        }
    }

    /// Decides over a request: its fate, how long it takes there, how long the answer takes back.
    pub fn fate(&self, asked: Asked, chance: &mut ChaCha8Rng) -> (Fate, Duration, Duration) {
        let there = chance.random_range(1..=self.way_ms);
        let back = chance.random_range(1..=self.way_ms);
        let dice: f64 = chance.random();
        if self.off {
            return (Fate::Done, ms(there), ms(back));
        }
        let slow = if chance.random_bool(self.slow) {
            chance.random_range(100..=SLOW_MS)
        } else {
            0
        };
        let changes = asked != Asked::Read;
        let mut edge = self.death;
        if dice < edge {
            let done = chance.random_bool(0.5);
            let may_linger = asked == Asked::Free || asked == Asked::Ordered && chance.random_bool(0.3);
            let late = may_linger.then(|| ms(chance.random_range(1..3_000)));
            return (Fate::Death { done, late }, ms(there), ms(back));
        }
        edge += self.refused;
        if dice < edge {
            return (Fate::Refused, ms(there + slow), ms(back));
        }
        edge += self.unanswered;
        if dice < edge {
            let fate = if changes { Fate::Unanswered } else { Fate::Refused };
            return (fate, ms(there), ms(back + slow));
        }
        edge += self.late;
        if dice < edge && asked == Asked::Free {
            let after = chance.random_range(1..4_000);
            return (Fate::Late(ms(after)), ms(there), ms(back + slow));
        }
        if chance.random_bool(0.5) {
            (Fate::Done, ms(there + slow), ms(back))
        } else {
            (Fate::Done, ms(there), ms(back + slow))
        }
    }
}

fn ms(span: u64) -> Duration {
    Duration::from_millis(span)
}
