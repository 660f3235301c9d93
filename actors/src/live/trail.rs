//! Where a call's records stand in its partition: enough to build the call anew.

/// Offsets of one call's records, rising; four bytes each, because 100,000 live calls keep one of these.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    first: i64,
    later: Vec<u32>,
    begun: bool,
    /// Offsets that are left out when the call is rebuilt: they panicked.
    poisoned: Vec<i64>,
}

impl Trail {
    /// Notes the next offset; one that is not beyond the last is known already.
    pub(crate) fn push(&mut self, offset: i64) {
        if !self.begun {
            self.first = offset;
            self.begun = true;
        } else if let Ok(distance) = u32::try_from(offset - self.first)
            && self.later.last().is_none_or(|last| *last < distance)
            && distance > 0
        {
            self.later.push(distance);
        }
    }

    /// Leaves `offset` out from now on.
    pub(crate) fn poison(&mut self, offset: i64) {
        self.poisoned.push(offset);
    }

    /// The offsets to rebuild from.
    pub(crate) fn offsets(&self) -> Vec<i64> {
        let all = self
            .begun
            .then_some(self.first)
            .into_iter()
            .chain(self.later.iter().map(|d| self.first + i64::from(*d)));
        all.filter(|offset| !self.poisoned.contains(offset)).collect()
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
