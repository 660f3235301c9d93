//! What the network and the sender do to events: repeat them, overtake them, lose them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::life::{Plan, Step};

/// Shares of events and calls that do not arrive once and in order; 0 switches each off.
#[derive(Debug, Clone, Default)]
pub struct Disorder {
    /// Share of events that are delivered twice.
    pub duplicates: f64,
    /// Share of events that later ones overtake.
    pub reordered: f64,
    /// Share of calls whose end comes 30 to 120 s late.
    pub late_ends: f64,
    /// Share of calls whose end (and analysis) never comes.
    pub missing_ends: f64,
    /// Share of voice calls of which nothing is ever sent, as when Retell's own sending fails.
    pub unheard: f64,
}

/// What happens to one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Never sent.
    pub lost: bool,
    /// Sent this much later, ms.
    pub delay_ms: i64,
    /// Sent a second time this much after the first, ms.
    pub again_after_ms: Option<i64>,
}

/// The longest delay of a reordered event, ms: several turns of a conversation.
const OVERTAKEN_MS: i64 = 8_000;

impl Disorder {
    /// Whether nothing of this conversation is ever sent. Draws nothing while the share is 0, so that seeds keep their conversations.
    pub fn draw_unheard(&self, plan: &Plan, random: &mut ChaCha8Rng) -> bool {
        self.unheard > 0.0 && !plan.is_chat() && random.random_bool(self.unheard)
    }

    /// Whether a call's end will be lost or late: drawn once for the whole call.
    pub fn draw_end(&self, random: &mut ChaCha8Rng) -> Fate {
        let lost = random.random_bool(self.missing_ends);
        let late = random.random_bool(self.late_ends);
        Fate {
            lost,
            delay_ms: if late { random.random_range(30_000..120_000) } else { 0 },
            again_after_ms: None,
        }
    }

    /// What happens to one event of a call whose end fares as `end` says.
    pub fn draw(&self, step: Step, end: Fate, random: &mut ChaCha8Rng) -> Fate {
        let closing = matches!(step, Step::Ended | Step::Analyzed | Step::TransferEnded);
        let overtaken = random.random_bool(self.reordered);
        let again = random.random_bool(self.duplicates);
        Fate {
            lost: closing && end.lost,
            delay_ms: if step == Step::Ended { end.delay_ms } else { 0 }
                + if overtaken { random.random_range(500..OVERTAKEN_MS) } else { 0 },
            again_after_ms: again.then(|| random.random_range(1..3_000)),
        }
    }
}
