//! What the group is about to write, noted beside its position before it writes (rule D7). After a crash its next owner repeats exactly
//! that: the same records in the same batch under the same token, which ClickHouse drops if it has them. Cut anew, the batches would
//! have other boundaries and other tokens, and records would be there twice.

use std::borrow::Borrow;

use sha2::{Digest as _, Sha256};
use trunkline_stores::log::LogRecord;

use super::batch::Cut;

/// Version of the text below.
const FORM: &str = "1";

/// Most partitions of one batch, so that an intent fits in the place beside an offset (`INTENT_BYTES`) with the largest numbers.
pub(super) const RANGES_MAX: usize = 64;

/// The boundaries of a batch, and a print of what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    /// Of each partition the first and last offset.
    pub ranges: Vec<(u32, i64, i64)>,
    print: String,
}

impl Intent {
    pub fn of<R: Borrow<LogRecord>>(cut: &Cut<R>) -> Intent {
        Intent {
            ranges: cut.ranges.clone(),
            print: print(&cut.records),
        }
    }

    /// What is noted.
    pub fn text(&self) -> String {
        let mut text = format!("{FORM} {}", self.print);
        for (partition, first, last) in &self.ranges {
            text.push_str(&format!(" {partition}:{first}-{last}"));
        }
        text
    }

    /// Reads a note; `None` when it is of another version.
    pub fn read(text: &str) -> Option<Intent> {
        let mut words = text.split(' ');
        if words.next() != Some(FORM) {
            return None;
        }
        let print = words.next()?.to_owned();
        let range = |word: &str| {
            let (partition, offsets) = word.split_once(':')?;
            let (first, last) = offsets.split_once('-')?;
            Some((partition.parse().ok()?, first.parse().ok()?, last.parse().ok()?))
        };
        let ranges: Vec<(u32, i64, i64)> = words.map(range).collect::<Option<_>>()?;
        (!ranges.is_empty()).then_some(Intent { ranges, print })
    }

    /// The range of one partition.
    pub fn of_partition(&self, partition: u32) -> Option<(i64, i64)> {
        let range = self.ranges.iter().find(|(of, _, _)| *of == partition);
        range.map(|(_, first, last)| (*first, *last))
    }

    /// The batch again, if these are its records.
    pub fn cut<R: Borrow<LogRecord>>(&self, records: Vec<R>) -> Option<Cut<R>> {
        (print(&records) == self.print).then(|| Cut {
            records,
            ranges: self.ranges.clone(),
        })
    }
}

/// Tells batches apart by places and bytes.
fn print<R: Borrow<LogRecord>>(records: &[R]) -> String {
    let mut hash = Sha256::new();
    for record in records.iter().map(Borrow::borrow) {
        hash.update(record.position.partition.to_be_bytes());
        hash.update(record.position.offset.to_be_bytes());
        hash.update((record.bytes.len() as u64).to_be_bytes());
        hash.update(&record.bytes);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trunkline_core::instant::Millis;
    use trunkline_stores::log::{INTENT_BYTES, Position};

    use super::*;

    fn record(partition: u32, offset: i64, body: &'static str) -> LogRecord {
        LogRecord {
            position: Position { partition, offset },
            appended_at: Millis(0),
            bytes: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn an_intent_survives_being_a_text_and_takes_only_its_own_records() {
        let records = vec![record(0, 7, "a"), record(0, 8, "b"), record(3, 0, "c")];
        let intent = Intent::of(&Cut {
            records: records.clone(),
            ranges: vec![(0, 7, 8), (3, 0, 0)],
        });
        assert_eq!(Intent::read(&intent.text()), Some(intent.clone()));
        assert_eq!(intent.of_partition(3), Some((0, 0)));
        assert_eq!(intent.cut(records.clone()).unwrap().ranges, intent.ranges);
        let mut other = records;
        other[1] = record(0, 8, "x");
        assert!(intent.cut(other).is_none());
        for wrong in ["", "2 aa 0:1-2", "1 aa", "1 aa 0:1", "1 aa x:1-2"] {
            assert_eq!(Intent::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_largest_intent_fits_where_it_is_noted() {
        let intent = Intent {
            ranges: vec![(u32::MAX, i64::MAX, i64::MAX); RANGES_MAX],
            print: print::<LogRecord>(&[]),
        };
        assert!(intent.text().len() <= INTENT_BYTES, "{}", intent.text().len());
    }
}
