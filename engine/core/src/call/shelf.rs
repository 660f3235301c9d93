//! The fields that events brought, sorted by rank; what can never decide again is dropped (rule B3).
//!
//! All versions of a rank must be kept as long as no higher rank has the field: an earlier receipt of one of them may still turn
//! up and change their order. What they have in common is kept once, so that fifty equal objects cost as much as one.

use smallvec::SmallVec;

use crate::event::field::Field;

/// One version of the fields of a rank, without what all versions of the rank have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    pub own: Box<[Field]>,
    pub unreadable: Box<[&'static str]>,
}

/// All versions of one rank.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub rank: u8,
    pub common: Box<[Field]>,
    /// Nearly always one.
    pub versions: SmallVec<[Version; 1]>,
}

/// All ranks, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelves {
    pub(super) all: Vec<Shelf>,
}

/// Whether a field of a lower rank can never decide again, given the fields of one event of a higher rank.
fn is_settled(field: &Field, by: &[Field], by_rank: u8) -> bool {
    // Moments stay: whether they are usable depends on when the record came, and that may yet turn out earlier.
    if field.time().is_some() {
        return false;
    }
    // Equal transfer events may differ in the agent, and the earlier one counts, which may yet come.
    if field.is_of_agent() && matches!(by_rank, 3 | 6) {
        return false;
    }
    // Maps merge by key: settled only by a higher one with the same keys.
    by.iter().any(|higher| {
        if field.is_map() {
            field == higher
        } else {
            field.is_same_field(higher)
        }
    })
}

fn without(fields: &[Field], drop: impl Fn(&Field) -> bool) -> Box<[Field]> {
    fields.iter().filter(|field| !drop(field)).cloned().collect()
}

impl Shelves {
    /// Ascending by rank.
    pub fn iter(&self) -> impl Iterator<Item = &Shelf> {
        self.all.iter()
    }

    /// Keeps the fields of an event of `rank`; gives the place of this version.
    pub fn put(&mut self, rank: u8, fields: &[Field], unreadable: &[&'static str]) -> u16 {
        let found = self.all.binary_search_by_key(&rank, |shelf| shelf.rank);
        if let Some(shelf) = found.ok().map(|place| &self.all[place])
            && shelf.is_all_there_is(fields, unreadable)
        {
            return 0;
        }
        let settled = |field: &Field| {
            let higher = self.all.iter().filter(|shelf| shelf.rank > rank);
            higher
                .into_iter()
                .any(|shelf| shelf.holds(|fields| is_settled(field, fields, shelf.rank)))
        };
        let kept: Vec<Field> = fields
            .iter()
            .filter(|field| !settled(field))
            .map(|field| self.shared(field))
            .collect();
        for lower in self.all.iter_mut().filter(|shelf| shelf.rank < rank) {
            lower.settle(fields, rank);
        }
        let place = match found {
            Ok(place) => place,
            Err(place) => {
                // There are few ranks, and every live call has this list.
                self.all.reserve_exact(1);
                self.all.insert(
                    place,
                    Shelf {
                        rank,
                        common: Box::default(),
                        versions: SmallVec::new(),
                    },
                );
                place
            }
        };
        self.all[place].put(kept, unreadable)
    }

    /// The same field, sharing memory with one that is already there.
    fn shared(&self, field: &Field) -> Field {
        let known = self.all.iter().flat_map(|shelf| shelf.common.iter());
        known.into_iter().find(|known| *known == field).unwrap_or(field).clone()
    }

    pub fn heap_bytes(&self) -> usize {
        let fields = |fields: &[Field]| fields.iter().map(|field| size_of::<Field>() + field.heap_bytes()).sum::<usize>();
        let version = |version: &Version| fields(&version.own) + version.unreadable.len() * 16;
        let shelf = |shelf: &Shelf| {
            let spilled = if shelf.versions.spilled() { shelf.versions.capacity() } else { 0 };
            fields(&shelf.common) + shelf.versions.iter().map(version).sum::<usize>() + spilled * size_of::<Version>()
        };
        self.all.capacity() * size_of::<Shelf>() + self.all.iter().map(shelf).sum::<usize>()
    }
}

impl Shelf {
    /// Whether the common fields or those of some version fulfil `wanted`.
    fn holds(&self, wanted: impl Fn(&[Field]) -> bool) -> bool {
        wanted(&self.common) || self.versions.iter().any(|version| wanted(&version.own))
    }

    /// True when there is one version and it is this: the usual case while a call runs.
    fn is_all_there_is(&self, fields: &[Field], unreadable: &[&'static str]) -> bool {
        self.versions.len() == 1 && *self.versions[0].unreadable == *unreadable && *self.common == *fields
    }

    fn settle(&mut self, by: &[Field], rank: u8) {
        let is_settled = |field: &Field| is_settled(field, by, rank);
        if self.common.iter().any(is_settled) {
            self.common = without(&self.common, is_settled);
        }
        for version in &mut self.versions {
            if version.own.iter().any(is_settled) {
                version.own = without(&version.own, is_settled);
            }
        }
    }

    fn put(&mut self, fields: Vec<Field>, unreadable: &[&'static str]) -> u16 {
        if self.versions.is_empty() {
            self.common = fields.into();
            self.versions.push(Version {
                own: Box::default(),
                unreadable: unreadable.into(),
            });
            return 0;
        }
        if self.common.iter().any(|common| !fields.contains(common)) {
            let (kept, gone): (Vec<Field>, Vec<Field>) = self.common.iter().cloned().partition(|common| fields.contains(common));
            self.common = kept.into();
            for version in &mut self.versions {
                version.own = version.own.iter().chain(&gone).cloned().collect();
            }
        }
        let own = without(&fields, |field| self.common.contains(field));
        let is_equal = |version: &Version| {
            version.own.len() == own.len() && *version.unreadable == *unreadable && own.iter().all(|field| version.own.contains(field))
        };
        let place = self.versions.iter().position(is_equal).unwrap_or_else(|| {
            self.versions.reserve_exact(1);
            self.versions.push(Version {
                own,
                unreadable: unreadable.into(),
            });
            self.versions.len() - 1
        });
        // A version comes with a receipt or with a repeat, and RECORDS_PER_CALL of each are fewer than 16 bits count.
        u16::try_from(place).expect("RECORDS_PER_CALL bounds the versions")
    }
}
