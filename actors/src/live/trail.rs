//! Where a call's records stand in its partition: enough to build the call anew.

use smallvec::SmallVec;

/// Offsets of one call's records, rising; four bytes each, because 100,000 live calls keep one of these.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    first: Option<i64>,
    /// As many as a call has that has just begun to speak stand in the list itself.
    later: SmallVec<[u32; 4]>,
    /// Offsets that are left out when the call is rebuilt: they panicked.
    poisoned: Box<[i64]>,
}

impl Trail {
    /// Notes the next offset; one that is not beyond the last is known already.
    pub(crate) fn push(&mut self, offset: i64) {
        let Some(first) = self.first else {
            self.first = Some(offset);
            return;
        };
        if let Ok(distance) = u32::try_from(offset - first)
            && self.later.last().is_none_or(|last| *last < distance)
            && distance > 0
        {
            self.later.push(distance);
        }
    }

    /// Leaves `offset` out from now on.
    pub(crate) fn poison(&mut self, offset: i64) {
        // Rare: a list of its own size takes the least room in all other calls.
        self.poisoned = self.poisoned.iter().copied().chain([offset]).collect();
    }

    /// The offsets to rebuild from.
    pub(crate) fn offsets(&self) -> Vec<i64> {
        self.all().filter(|offset| !self.poisoned.contains(offset)).collect()
    }

    /// All offsets.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = i64> {
        let later = self
            .first
            .into_iter()
            .flat_map(|first| self.later.iter().map(move |distance| first + i64::from(*distance)));
        self.first.into_iter().chain(later)
    }

    /// Some records could not be applied.
    pub(crate) fn is_poisoned(&self) -> bool {
        !self.poisoned.is_empty()
    }

    /// Gives spare memory back.
    pub(crate) fn shrink(&mut self) {
        self.later.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_keeps_each_offset_once_and_leaves_out_the_poisoned() {
        let mut trail = Trail::default();
        for offset in [7_000_000_000, 7_000_000_003, 7_000_000_003, 7_000_000_000, 7_000_000_900] {
            trail.push(offset);
        }
        assert_eq!(trail.offsets(), [7_000_000_000, 7_000_000_003, 7_000_000_900]);
        trail.poison(7_000_000_003);
        assert_eq!(trail.offsets(), [7_000_000_000, 7_000_000_900]);
        assert!(Trail::default().offsets().is_empty());
    }
}
