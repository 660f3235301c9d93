//! Gathers records per partition and cuts them into batches of bounded size.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use trunkline_stores::log::LogRecord;

use super::intent::RANGES_MAX;

/// Version of the rows that records give. Another one needs another number: under the token of earlier rows ClickHouse would drop
/// them and report success (CH-06).
const WRITER: u32 = 1;

/// What is gathered of one partition.
struct Gathering<R> {
    records: VecDeque<R>,
    /// Nothing newer was in the log when it was last asked.
    caught_up: bool,
}

impl<R> Default for Gathering<R> {
    fn default() -> Self {
        Self {
            records: VecDeque::new(),
            caught_up: false,
        }
    }
}

/// Records that wait to be written, each as it stands in the log or with more.
pub(crate) struct Gathered<R> {
    partitions: BTreeMap<u32, Gathering<R>>,
    rows: usize,
    bytes: usize,
    since: Option<Instant>,
}

impl<R> Default for Gathered<R> {
    fn default() -> Self {
        Self {
            partitions: BTreeMap::new(),
            rows: 0,
            bytes: 0,
            since: None,
        }
    }
}

/// A contiguous range of each of some partitions.
pub(crate) struct Cut<R> {
    /// The records, by partition in order of their offsets.
    pub records: Vec<R>,
    /// Of each partition the first and last offset.
    pub ranges: Vec<(u32, i64, i64)>,
}

impl<R> Cut<R> {
    /// Names the ranges of a log, and who makes the rows: the same records have the same name as long as they give the same rows.
    pub fn token(&self, log: &str) -> String {
        let ranges: Vec<String> = self
            .ranges
            .iter()
            .map(|(partition, first, last)| format!("{partition}:{first}-{last}"))
            .collect();
        format!("events:{WRITER}:{log}:{}", ranges.join("+"))
    }
}

/// Bytes of some records.
pub(super) fn bytes_of<'r, R: Borrow<LogRecord> + 'r>(records: impl IntoIterator<Item = &'r R>) -> usize {
    records.into_iter().map(|record| record.borrow().bytes.len()).sum()
}

impl<R: Borrow<LogRecord>> Gathered<R> {
    pub fn take_in(&mut self, partition: u32, records: Vec<R>, now: Instant) {
        self.rows += records.len();
        self.bytes += bytes_of(&records);
        let gathering = self.partitions.entry(partition).or_default();
        gathering.caught_up = false;
        gathering.records.extend(records);
        self.since.get_or_insert(now);
    }

    pub fn caught_up(&mut self, partition: u32) {
        self.partitions.entry(partition).or_default().caught_up = true;
    }

    /// Forgets a partition that is no longer ours.
    pub fn drop_partition(&mut self, partition: u32) {
        if let Some(gathering) = self.partitions.remove(&partition) {
            self.rows -= gathering.records.len();
            self.bytes -= bytes_of(&gathering.records);
        }
        if self.rows == 0 {
            self.since = None;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_full(&self, rows: usize, bytes: usize) -> bool {
        self.rows >= rows || self.bytes >= bytes
    }

    /// When to write: at the end of the log at once, else when the oldest record has waited long enough; never sooner after the
    /// last write than that, because many small inserts make many small parts.
    pub fn due(&self, linger: Duration, last_write: Option<Instant>) -> Option<Instant> {
        let since = self.since?;
        let at_end = self.partitions.values().all(|gathering| gathering.caught_up);
        let wanted = if at_end { since } else { since + linger };
        Some(last_write.map_or(wanted, |last| wanted.max(last + linger)))
    }

    /// Takes the next batch, oldest offsets first, partition by partition.
    pub fn cut(&mut self, max_rows: usize, max_bytes: usize) -> Option<Cut<R>> {
        let (mut records, mut ranges, mut bytes): (Vec<R>, Vec<_>, usize) = (Vec::new(), Vec::new(), 0);
        for (partition, gathering) in &mut self.partitions {
            if ranges.len() == RANGES_MAX {
                break;
            }
            let begin = records.len();
            while let Some(next) = gathering.records.front() {
                let size = next.borrow().bytes.len();
                let full = records.len() >= max_rows || bytes + size > max_bytes;
                if full && !records.is_empty() {
                    break;
                }
                bytes += size;
                records.extend(gathering.records.pop_front());
            }
            if let Some(last) = records.last().filter(|_| records.len() > begin) {
                let offset = |record: &R| record.borrow().position.offset;
                ranges.push((*partition, offset(&records[begin]), offset(last)));
            }
        }
        self.rows -= records.len();
        self.bytes -= bytes;
        if self.rows == 0 {
            self.since = None;
        }
        (!records.is_empty()).then_some(Cut { records, ranges })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trunkline_core::instant::Millis;
    use trunkline_stores::log::Position;

    use super::*;

    fn records(partition: u32, offsets: std::ops::Range<i64>, size: usize) -> Vec<LogRecord> {
        let record = |offset| LogRecord {
            position: Position { partition, offset },
            appended_at: Millis(0),
            bytes: Bytes::from(vec![0; size]),
        };
        offsets.map(record).collect()
    }

    #[test]
    fn a_batch_is_cut_by_rows_and_by_bytes_and_loses_nothing() {
        let mut gathered = Gathered::default();
        let now = Instant::now();
        gathered.take_in(1, records(1, 10..15, 10), now);
        gathered.take_in(0, records(0, 0..3, 10), now);
        let first = gathered.cut(4, 1_000).unwrap();
        assert_eq!(first.token("log"), "events:1:log:0:0-2+1:10-10");
        assert_eq!(first.ranges, [(0, 0, 2), (1, 10, 10)]);
        let second = gathered.cut(100, 25).unwrap();
        assert_eq!(second.token("log"), "events:1:log:1:11-12");
        assert_eq!(
            gathered.cut(100, 5).unwrap().records.len(),
            1,
            "a record that is larger than the limit goes alone"
        );
        assert_eq!(gathered.cut(100, 1_000).unwrap().ranges, [(1, 14, 14)]);
        assert!(gathered.cut(100, 1_000).is_none() && gathered.is_empty() && gathered.bytes() == 0);
    }

    #[test]
    fn the_end_of_the_log_is_written_at_once_but_not_in_a_hurry() {
        let (mut gathered, now, linger) = (Gathered::default(), Instant::now(), Duration::from_millis(500));
        assert_eq!(gathered.due(linger, None), None);
        gathered.take_in(0, records(0, 0..1, 1), now);
        assert_eq!(gathered.due(linger, None), Some(now + linger));
        gathered.caught_up(0);
        assert_eq!(gathered.due(linger, None), Some(now));
        assert_eq!(gathered.due(linger, Some(now)), Some(now + linger));
        gathered.drop_partition(0);
        assert_eq!(gathered.due(linger, None), None);
    }
}
