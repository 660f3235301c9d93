//! Decides under which version a call is written, and which of its old places are cancelled.
//!
//! A place is the part of the calls table's key that can change: business and opening time. The decision is a function of what is
//! known, so that writing the same records again gives the same rows.
//!
//! Two writers may decide at once: a process that stood still wakes with an old directory while its successor is at work. If both chose the
//! same version for different places, each table would keep what came last, and a call could stand in one business and its transcript in
//! another. So the place is part of the version, and whoever wins wins in both tables. And whoever has moved a call wins over one who knows as
//! much of it and has not heard that it moved: moves count for the rest of the call's life.

use crc32fast::Hasher;
use trunkline_core::facts::CallFacts;
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;

/// Lowest bits of a version: a print of the place that it puts a call in.
const PRINT_BITS: u32 = 16;
/// Above them, how often the call has moved between places; above those, the [`weight`].
const MOVES_BITS: u32 = 16;
/// More are counted as so many.
const MOVES_MAX: u64 = (1 << MOVES_BITS) - 1;
/// All below the weight.
const BELOW_WEIGHT: u32 = PRINT_BITS + MOVES_BITS;

/// Where a call stands in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Its business.
    pub business: BusinessId,
    /// Its opening time.
    pub opened_at: Millis,
}

/// A place that has rows of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where.
    pub place: Place,
    /// Highest version there.
    pub version: u64,
    /// That version is a cancelling one.
    pub cancelled: bool,
}

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Version of the live row and of the cancelling ones.
    pub version: u64,
    /// Old places to cancel.
    pub cancel: Vec<Place>,
}

/// How much is known of a call. An end that we presume is no record of Retell's and not counted as one, and yet it is more than was known
/// before, and less than the next record: else a writer that comes late, with the same records, would take it back.
pub fn weight(facts: &CallFacts) -> u32 {
    2 * facts.records + u32::from(facts.presumed_ended)
}

/// A call of which so much is known ([`weight`]) belongs to `place`; the table knows it at `known`. Nothing is written when the table was
/// written from more than we hold: another owner is ahead, or our older events have outlived their retention.
pub fn place(known: &[Known], place: Place, weight: u32) -> Option<Placed> {
    let highest = known.iter().map(|at| at.version).max();
    let known_weight = highest.map_or(0, |highest| highest >> BELOW_WEIGHT);
    if known_weight > u64::from(weight) {
        return None;
    }
    let cancel: Vec<Place> = known
        .iter()
        .filter(|at| !at.cancelled && at.place != place)
        .map(|at| at.place)
        .collect();
    let is_newest = |at: &Known| known_weight < u64::from(weight) || Some(at.version) == highest;
    let is_here = known.iter().any(|at| at.place == place && !at.cancelled && is_newest(at));
    let moves = highest.unwrap_or(0) >> PRINT_BITS & MOVES_MAX;
    // Written before with the same knowledge: the same version again, and the table keeps one of two equal rows.
    let stays = known.is_empty() || is_here && cancel.is_empty();
    let moves = if stays { moves } else { (moves + 1).min(MOVES_MAX) };
    let version = u64::from(weight) << BELOW_WEIGHT | moves << PRINT_BITS | print(place);
    Some(Placed { version, cancel })
}

/// Tells places apart within [`PRINT_BITS`].
fn print(place: Place) -> u64 {
    let mut hasher = Hasher::new();
    hasher.update(place.business.0.as_bytes());
    hasher.update(&place.opened_at.0.to_be_bytes());
    u64::from(hasher.finalize()) & ((1 << PRINT_BITS) - 1)
}

/// What the table knows after [`place`] was written.
pub fn after(known: &[Known], place: Place, placed: &Placed) -> Vec<Known> {
    let mut next: Vec<Known> = known
        .iter()
        .filter(|at| at.place != place)
        .map(|at| match placed.cancel.contains(&at.place) {
            true => Known {
                version: placed.version,
                cancelled: true,
                ..*at
            },
            false => *at,
        })
        .collect();
    next.push(Known {
        place,
        version: placed.version,
        cancelled: false,
    });
    next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(business: u128, opened_at: i64) -> Place {
        Place {
            business: BusinessId(Uuid::from_u128(business)),
            opened_at: Millis(opened_at),
        }
    }

    /// The table as ReplacingMergeTree keeps it: the highest version of each key, of equal versions the last written.
    #[derive(Default, Clone)]
    struct Table(Vec<Known>);

    impl Table {
        fn write(&mut self, row: Known) {
            match self.0.iter_mut().find(|at| at.place == row.place) {
                Some(old) if old.version <= row.version => *old = row,
                Some(_) => {}
                None => self.0.push(row),
            }
        }

        fn apply(&mut self, place: Place, placed: &Placed) {
            self.write(Known {
                place,
                version: placed.version,
                cancelled: false,
            });
            for old in &placed.cancel {
                self.write(Known {
                    place: *old,
                    version: placed.version,
                    cancelled: true,
                });
            }
        }

        fn live(&self) -> Vec<Place> {
            self.0.iter().filter(|at| !at.cancelled).map(|at| at.place).collect()
        }
    }

    #[test]
    fn a_repeat_writes_the_same_version_and_cancels_nothing() {
        let first = place(&[], at(1, 10), 3).unwrap();
        let known = after(&[], at(1, 10), &first);
        assert_eq!(place(&known, at(1, 10), 3), Some(first));
    }

    #[test]
    fn more_records_always_win() {
        let known = [Known {
            place: at(1, 10),
            version: (3 << BELOW_WEIGHT) + 900,
            cancelled: false,
        }];
        let placed = place(&known, at(1, 10), 4).unwrap();
        assert_eq!((placed.version >> BELOW_WEIGHT, placed.cancel), (4, vec![]));
    }

    #[test]
    fn a_writer_that_knows_less_writes_nothing() {
        let known = [Known {
            place: at(1, 10),
            version: 5 << BELOW_WEIGHT,
            cancelled: false,
        }];
        assert_eq!(place(&known, at(2, 12), 4), None);
    }

    #[test]
    fn a_call_can_move_away_and_back_without_a_new_record() {
        let mut table = Table::default();
        for to in [at(1, 10), at(2, 10), at(1, 10), at(2, 10)] {
            let placed = place(&table.0, to, 3).unwrap();
            table.apply(to, &placed);
            assert_eq!(table.live(), vec![to]);
        }
    }

    #[test]
    fn two_writers_that_decide_at_once_never_choose_the_same_version_for_different_places() {
        let mut table = Table::default();
        table.apply(at(1, 10), &place(&[], at(1, 10), 3).unwrap());
        for records in [3, 4] {
            let stays = place(&table.0, at(1, 10), records).unwrap();
            let moves = place(&table.0, at(2, 10), records).unwrap();
            assert_ne!(stays.version, moves.version, "{records}");
            // Written to two tables in different orders: both tables end with the same.
            let (mut calls, mut transcripts) = (table.clone(), table.clone());
            calls.apply(at(1, 10), &stays);
            calls.apply(at(2, 10), &moves);
            transcripts.apply(at(2, 10), &moves);
            transcripts.apply(at(1, 10), &stays);
            let mut both = [calls.live(), transcripts.live()];
            both.iter_mut().for_each(|live| live.sort());
            assert_eq!(both[0], both[1], "{records}");
        }
    }

    #[test]
    fn one_that_has_not_heard_of_a_move_loses_in_whatever_order_they_write() {
        for (old, new) in [(1, 2), (2, 1), (3, 7), (7, 3)] {
            let (old, new) = (at(old, 10), at(new, 10));
            let mut before = Table::default();
            before.apply(old, &place(&[], old, 3).unwrap());
            for weight in [3, 4] {
                let late = place(&before.0, old, weight).unwrap();
                let moved = place(&before.0, new, weight).unwrap();
                for late_is_first in [false, true] {
                    let mut table = before.clone();
                    for is_late in [late_is_first, !late_is_first] {
                        match is_late {
                            true => table.apply(old, &late),
                            false => table.apply(new, &moved),
                        }
                    }
                    assert_eq!(table.live(), vec![new], "{weight}");
                }
                // And with the next record the move is not forgotten.
                let mut table = before.clone();
                table.apply(new, &moved);
                let next = place(&table.0, new, weight + 1).unwrap();
                table.apply(new, &next);
                let stale = place(&before.0, old, weight + 1).unwrap();
                assert!(stale.version < next.version, "{weight}");
            }
        }
    }

    proptest! {
        /// Whatever is written, in whatever order moves and records come, crashes and repeats included: one live row, the last one.
        #[test]
        fn a_call_has_one_live_row(steps in proptest::collection::vec((1u128..4, 0i64..3, 0u32..2, any::<bool>()), 1..20)) {
            let mut table = Table::default();
            let mut records = 1;
            for (business, opened, more, crash_between) in steps {
                records += more;
                let to = at(business, opened);
                let placed = place(&table.0, to, records).unwrap();
                if crash_between {
                    // The live row is in, the cancelling ones are not; the whole is then decided anew from the table.
                    table.write(Known { place: to, version: placed.version, cancelled: false });
                }
                let placed = place(&table.0, to, records).unwrap();
                let expected = after(&table.0, to, &placed);
                table.apply(to, &placed);
                prop_assert_eq!(table.live(), vec![to]);
                for known in expected {
                    prop_assert!(table.0.contains(&known));
                }
            }
        }
    }
}
