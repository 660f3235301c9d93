//! What one call adds to the bill of its business: whole numbers, so that sums never drift and a correction takes back exactly
//! what was added.

mod evidence;
mod kept;
mod stored;

use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

use crate::facts::CallFacts;
use crate::id::Kind;

pub use evidence::Evidence;
pub use stored::{STORED_VERSION, UnreadableEvidence};

/// Parts of a cent that costs are counted in; the same as in [`crate::metric`].
const MICRO: f64 = 1_000_000.0;

/// What a call, or a sum of calls, uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Voice calls, connected or not.
    pub calls: i64,
    /// Connected voice calls (RULES.md part C).
    pub connected: i64,
    /// Connected calls whose duration is known: the share that `talk_ms` speaks of (rule B9).
    pub timed: i64,
    /// Durations of the connected calls.
    pub talk_ms: i64,
    /// Chats.
    pub chats: i64,
    /// Calls and chats of which Retell has said a combined cost: the share that `cost_microcents` speaks of.
    pub priced: i64,
    /// Combined cost as Retell says it (rule B8), in millionths of a cent.
    pub cost_microcents: i128,
    /// Cost of transfer legs among the parts (rule B8), in millionths of a cent; Retell's combined cost may contain it.
    pub transfer_leg_microcents: i128,
}

/// What the call of these facts adds.
pub fn usage(facts: &CallFacts) -> Usage {
    let mut usage = Usage::default();
    match facts.key.kind {
        Kind::Call => {
            usage.calls = 1;
            if facts.connected {
                usage.connected = 1;
                usage.timed = i64::from(facts.duration_ms.is_some());
                usage.talk_ms = facts.duration_ms.unwrap_or(0);
            }
        }
        Kind::Chat => usage.chats = 1,
    }
    if let Some(cost) = &facts.cost {
        if let Some(cents) = cost.combined_cents {
            usage.priced = 1;
            usage.cost_microcents = microcents(cents);
        }
        usage.transfer_leg_microcents = cost.transfer_leg_cents.map_or(0, microcents);
    }
    usage
}

/// Rounded once per call; what is out of a 64-bit range is cut to it, so that every store can keep it.
fn microcents(cents: f64) -> i128 {
    i128::from((cents * MICRO).round() as i64)
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            calls: self.calls + other.calls,
            connected: self.connected + other.connected,
            timed: self.timed + other.timed,
            talk_ms: self.talk_ms + other.talk_ms,
            chats: self.chats + other.chats,
            priced: self.priced + other.priced,
            cost_microcents: self.cost_microcents + other.cost_microcents,
            transfer_leg_microcents: self.transfer_leg_microcents + other.transfer_leg_microcents,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        *self = *self + other;
    }
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, other: Usage) -> Usage {
        let negative = Usage {
            calls: -other.calls,
            connected: -other.connected,
            timed: -other.timed,
            talk_ms: -other.talk_ms,
            chats: -other.chats,
            priced: -other.priced,
            cost_microcents: -other.cost_microcents,
            transfer_leg_microcents: -other.transfer_leg_microcents,
        };
        self + negative
    }
}
