//! Notices partitions that the group has given to nobody, and has them shared out anew.
//!
//! A cooperative group moves partitions in two rounds: in the first they are given up, and who gave up asks for the second, in which they are
//! given out. A static member that is killed before it asks comes back to a group that its coordinator takes for settled: it gets what the first
//! round left it, there is no second one, and what it gave up is nobody's until the next member comes or goes. So static members look after each
//! rebalance until they have seen that everything has an owner; one that sees the same partitions without one several times leaves the group
//! and joins it again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;

use super::{Question, Work, away};

/// Between two looks: a question to the group's coordinator each.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Looks that must agree; between the rounds there are fractions of a second.
const LOOKS_MIN: u32 = 2;

/// Who has partitions, which would be taken from him for a moment, waits for up to so many looks more: one for each.
const LOOKS_MORE_MAX: u32 = 3;

/// What was seen last.
pub(super) struct Look {
    is_static: bool,
    /// When to look; none while that is being asked, and while there is no need.
    at: Option<Instant>,
    seen: BTreeSet<u32>,
    times: u32,
}

impl Look {
    /// Of a static member, or of another one, which does not look.
    pub fn new(is_static: bool) -> Look {
        let mut look = Look {
            is_static,
            at: None,
            seen: BTreeSet::new(),
            times: 0,
        };
        look.later();
        look
    }

    /// The group was shared out, or it is not known to be.
    pub fn later(&mut self) {
        self.at = self.is_static.then(|| Instant::now() + LOOK_EVERY);
    }

    /// Notes what was seen; whether it is time to act for one that has so many partitions.
    fn saw(&mut self, ownerless: BTreeSet<u32>, owned: usize) -> bool {
        self.times = match ownerless.is_empty() || ownerless != self.seen {
            true => u32::from(!ownerless.is_empty()),
            false => self.times + 1,
        };
        self.seen = ownerless;
        self.times >= LOOKS_MIN + LOOKS_MORE_MAX.min(owned as u32)
    }
}

impl Work {
    /// Looks when it is time.
    pub(super) fn look(&mut self) {
        if self.look.at.is_some_and(|at| at <= Instant::now()) {
            self.look.at = None;
            self.member.asking.ask(Question::Ownerless);
        }
    }

    /// What was seen; nothing while the group shares out its partitions.
    pub(super) fn looked(&mut self, ownerless: Option<BTreeSet<u32>>) {
        if ownerless.as_ref().is_none_or(|ownerless| !ownerless.is_empty()) {
            self.look.later();
        }
        if !self.look.saw(ownerless.unwrap_or_default(), self.parts.len()) {
            return;
        }
        tracing::warn!(partitions = ?self.look.seen, "partitions have no owner in a group that is settled; joining it again");
        self.look.times = 0;
        // The second waits for the first.
        self.member.consumer.unsubscribe();
        if let Err(error) = self.member.consumer.subscribe(&[&self.member.topic]) {
            self.tell(0, Err(away("join the group again", &error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_partitions_seen_several_times_are_acted_on() {
        let mut look = Look::new(true);
        let mut saw = |seen: &[u32], owned| look.saw(seen.iter().copied().collect(), owned);
        assert!(!saw(&[1, 2], 0) && !saw(&[], 0), "the second round has come");
        assert!(!saw(&[1, 2], 0) && !saw(&[1], 0) && !saw(&[1, 2], 0));
        assert!(saw(&[1, 2], 0));
        for owned in [1, 9] {
            assert_eq!(saw(&[1, 2], owned), owned == 1, "who has more waits longer");
        }
    }
}
