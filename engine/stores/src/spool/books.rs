//! What the spool holds, in memory: which calls, how many records, how far each segment is written and handed over.

use std::collections::{HashMap, VecDeque};

use trunkline_core::instant::Millis;

use super::Refused;
use super::frame::{Frame, HEAD_BYTES, Mark};

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub number: u64,
    pub mark: Mark,
    /// Flushed up to here.
    pub written: u64,
    /// In the log up to here.
    pub drained: u64,
    /// The pen may still write to it.
    pub is_open: bool,
}

/// A piece of a segment that waits to be handed over.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub number: u64,
    pub mark: Mark,
    pub from: u64,
    pub to: u64,
}

/// The spool's accounts.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// On disk.
    stored_bytes: u64,
    /// Entered and not yet written.
    entering: u64,
    entering_bytes: u64,
    /// Records per call that the log does not have.
    calls: HashMap<String, u64>,
    records: u64,
    /// When the oldest of them came.
    pub oldest: Option<Millis>,
    /// Why the last write failed; none after one that did not.
    pub trouble: Option<String>,
}

impl Books {
    /// Records that the log does not have, those on their way to the disk included.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes on disk and on their way to it.
    pub fn bytes(&self) -> u64 {
        self.stored_bytes + self.entering_bytes
    }

    /// True when the log lacks something of this call.
    pub fn holds(&self, key: &str) -> bool {
        self.calls.contains_key(key)
    }

    /// The number of a segment newer than all.
    pub fn next_number(&self) -> u64 {
        self.segments.back().map_or(1, |newest| newest.number + 1)
    }

    /// A segment that was there at the start, with its frames.
    pub fn found<'a>(&mut self, segment: Segment, frames: impl Iterator<Item = &'a Frame>) {
        self.stored_bytes += segment.written;
        self.segments.push_back(segment);
        for frame in frames {
            self.count(frame);
        }
    }

    /// A record that will be written, if there is room.
    pub fn enter(&mut self, frame: &Frame, bytes_max: u64) -> Result<(), Refused> {
        let bytes = frame.stored_bytes();
        if self.bytes() + bytes > bytes_max {
            return Err(Refused::Full);
        }
        self.entering += 1;
        self.entering_bytes += bytes;
        self.count(frame);
        Ok(())
    }

    /// A record that was entered and could not be written.
    pub fn withdraw(&mut self, frame: &Frame) {
        self.entering -= 1;
        self.entering_bytes -= frame.stored_bytes();
        self.uncount(&frame.key);
    }

    /// Records that were entered are on disk: `segment` is flushed up to `written`.
    pub fn written(&mut self, segment: Segment, records: u64, bytes: u64) {
        self.entering -= records;
        self.entering_bytes -= bytes;
        self.trouble = None;
        match self.segments.back_mut().filter(|newest| newest.number == segment.number) {
            Some(known) => {
                self.stored_bytes += segment.written - known.written;
                known.written = segment.written;
            }
            None => {
                self.stored_bytes += segment.written;
                self.segments.push_back(segment);
            }
        }
    }

    /// True while the pen may go on with this segment.
    pub fn is_open(&self, number: u64) -> bool {
        self.segments.back().is_some_and(|newest| newest.number == number && newest.is_open)
    }

    /// Nothing more will be written to this segment. Returns segments that can be deleted.
    pub fn close(&mut self, number: u64) -> Vec<u64> {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == number) {
            segment.is_open = false;
        }
        self.sweep()
    }

    /// What is to be handed over next.
    pub fn piece(&self) -> Option<Piece> {
        let segment = self.segments.iter().find(|segment| segment.drained < segment.written)?;
        Some(Piece {
            number: segment.number,
            mark: segment.mark,
            from: segment.drained,
            to: segment.written,
        })
    }

    /// A record is in the log.
    pub fn handed_over(&mut self, key: &str) {
        self.uncount(key);
    }

    /// All of a segment up to `drained` is in the log. Returns segments that can be deleted.
    pub fn drained(&mut self, number: u64, drained: u64) -> Vec<u64> {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == number) {
            segment.drained = drained;
        }
        self.sweep()
    }

    /// Takes out what is drained to its end; the newest only while nothing is on its way into it.
    fn sweep(&mut self) -> Vec<u64> {
        let mut gone = Vec::new();
        while let Some(oldest) = self.segments.front() {
            if oldest.drained < oldest.written || oldest.is_open && self.entering > 0 {
                break;
            }
            self.stored_bytes -= oldest.written;
            gone.push(oldest.number);
            self.segments.pop_front();
        }
        if self.segments.is_empty() && self.entering == 0 {
            // A frame that was damaged on disk is counted and never handed over; it must not hold its call back for ever.
            self.calls.clear();
            self.records = 0;
            self.oldest = None;
        }
        gone
    }

    fn count(&mut self, frame: &Frame) {
        self.records += 1;
        self.oldest.get_or_insert(frame.at);
        match self.calls.get_mut(frame.key.as_str()) {
            Some(records) => *records += 1,
            None => drop(self.calls.insert(frame.key.clone(), 1)),
        }
    }

    fn uncount(&mut self, key: &str) {
        self.records = self.records.saturating_sub(1);
        if let Some(records) = self.calls.get_mut(key) {
            *records -= 1;
            if *records == 0 {
                self.calls.remove(key);
            }
        }
        if self.records == 0 {
            self.oldest = None;
        }
    }
}

impl Segment {
    /// A new one, with nothing but its head.
    pub fn new(number: u64, mark: Mark) -> Segment {
        Segment {
            number,
            mark,
            written: HEAD_BYTES as u64,
            drained: HEAD_BYTES as u64,
            is_open: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(key: &str) -> Frame {
        Frame {
            at: Millis(5),
            key: key.to_owned(),
            record: Bytes::from_static(b"record"),
        }
    }

    #[test]
    fn a_call_is_held_from_its_first_record_until_its_last_is_in_the_log() {
        let mut books = Books::default();
        let one = frame("call_a").stored_bytes();
        for _ in 0..2 {
            books.enter(&frame("call_a"), 1_000).unwrap();
        }
        assert!(books.holds("call_a") && !books.holds("call_b"));
        let written = HEAD_BYTES as u64 + 2 * one;
        let segment = Segment {
            written,
            ..Segment::new(1, [0; 8])
        };
        books.written(segment, 2, 2 * one);
        assert_eq!((books.records(), books.bytes(), books.oldest), (2, written, Some(Millis(5))));
        let piece = books.piece().unwrap();
        assert_eq!((piece.from, piece.to), (HEAD_BYTES as u64, written));
        books.handed_over("call_a");
        assert!(books.holds("call_a"));
        books.handed_over("call_a");
        assert_eq!(books.drained(1, written), [1]);
        assert!(!books.holds("call_a") && !books.is_open(1));
        assert_eq!((books.records(), books.bytes(), books.oldest), (0, 0, None));
    }

    #[test]
    fn a_segment_stays_while_something_is_on_its_way_into_it() {
        let mut books = Books::default();
        let one = frame("a").stored_bytes();
        books.enter(&frame("a"), 1_000).unwrap();
        let written = HEAD_BYTES as u64 + one;
        books.written(
            Segment {
                written,
                ..Segment::new(1, [0; 8])
            },
            1,
            one,
        );
        books.enter(&frame("b"), 1_000).unwrap();
        books.handed_over("a");
        assert!(books.drained(1, written).is_empty());
        assert!(books.is_open(1));
        books.withdraw(&frame("b"));
        assert_eq!(books.close(1), [1]);
        assert_eq!((books.records(), books.bytes()), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_no_trace() {
        let mut books = Books::default();
        let one = frame("a").stored_bytes();
        books.enter(&frame("a"), one).unwrap();
        assert_eq!(books.enter(&frame("b"), one), Err(Refused::Full));
        assert!(!books.holds("b"));
        books.withdraw(&frame("a"));
        assert_eq!(books.enter(&frame("b"), one), Ok(()));
        assert_eq!(books.enter(&frame("b"), 0), Err(Refused::Full));
    }
}
