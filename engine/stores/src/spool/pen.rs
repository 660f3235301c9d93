//! Writes records of many callers with one flush, and tells each caller whether its own is on disk.

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::books::Segment;
use super::frame::{self, Frame};
use super::{Refused, Spool};

/// A segment that has come so far is followed by a new one. Small, because only whole segments are deleted, and what is left of one is
/// handed over again after a crash.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// One flush takes no more than this (and one record more): larger ones only make everybody wait longer.
const FLUSH_BYTES: u64 = 4 * 1024 * 1024;

/// One record to write.
pub(super) struct Entry {
    pub frame: Frame,
    pub answer: oneshot::Sender<Result<(), Refused>>,
}

/// The one writer of a spool.
pub(super) struct Pen {
    spool: Arc<Spool>,
    open: Option<Segment>,
    next: u64,
}

impl Pen {
    pub fn new(spool: Arc<Spool>) -> Pen {
        let next = spool.books().next_number();
        Pen { spool, open: None, next }
    }

    /// Writes until nobody can hand over any more.
    pub async fn run(mut self, mut entries: mpsc::UnboundedReceiver<Entry>) {
        while let Some(first) = entries.recv().await {
            // More comes in while the flush before is under way, so nobody has to wait for company.
            let mut bytes = first.frame.stored_bytes();
            let mut batch = vec![first];
            while bytes < FLUSH_BYTES
                && let Ok(entry) = entries.try_recv()
            {
                bytes += entry.frame.stored_bytes();
                batch.push(entry);
            }
            match self.write(&batch).await {
                Ok(segment) => self.acknowledge(segment, batch, bytes),
                Err(error) => self.refuse(batch, &error),
            }
        }
    }

    /// One flush for all of `batch`; where the segment ends then.
    async fn write(&mut self, batch: &[Entry]) -> io::Result<Segment> {
        self.leave_segment_when_done();
        let disk = self.spool.disk.clone();
        let mut text = Vec::new();
        let (mut segment, is_new) = match self.open.take() {
            Some(segment) => (segment, false),
            None => {
                let segment = Segment::new(self.next, disk.mark());
                self.next += 1;
                text.extend_from_slice(&frame::head(segment.mark));
                (segment, true)
            }
        };
        for entry in batch {
            entry.frame.encode(&segment.mark, &mut text);
        }
        let flushed = if is_new {
            disk.begin(segment.number, &text).await
        } else {
            disk.add(segment.number, &text).await
        };
        if let Err(error) = flushed {
            if !is_new {
                self.give_up(&segment);
            }
            return Err(error);
        }
        segment.written += text.len() as u64 - if is_new { frame::HEAD_BYTES as u64 } else { 0 };
        self.open = Some(segment.clone());
        Ok(segment)
    }

    /// A new segment when this one is long enough, or was drained and deleted meanwhile.
    fn leave_segment_when_done(&mut self) {
        let Some(segment) = &self.open else { return };
        let number = segment.number;
        if segment.written >= SEGMENT_BYTES || !self.spool.books().is_open(number) {
            self.open = None;
            let gone = self.spool.change(|books| books.close(number));
            self.spool.delete(gone);
        }
    }

    /// After a failed write or flush nobody knows what of it is on disk, and a second flush would not tell (the kernel forgets). So this
    /// segment is not written to again. What of the failed batch may come out of it later was answered "send again".
    fn give_up(&self, segment: &Segment) {
        if let Err(error) = self.spool.disk.cut(segment.number, segment.written) {
            tracing::warn!(%error, segment = segment.number, "cannot undo a failed write to the spool");
        }
        let gone = self.spool.change(|books| books.close(segment.number));
        self.spool.delete(gone);
    }

    fn acknowledge(&self, segment: Segment, batch: Vec<Entry>, bytes: u64) {
        let records = batch.len() as u64;
        self.spool.change(|books| books.written(segment, records, bytes));
        metrics::counter!("trunkline_spool_written_total").increment(records);
        for entry in batch {
            // A caller that stopped waiting has answered "send again"; the record is kept all the same.
            let _ = entry.answer.send(Ok(()));
        }
        self.spool.more.notify_one();
    }

    fn refuse(&self, batch: Vec<Entry>, error: &io::Error) {
        tracing::error!(%error, records = batch.len(), "the spool's disk does not take records");
        self.spool.change(|books| {
            books.trouble = Some(error.to_string());
            for entry in &batch {
                books.withdraw(&entry.frame);
            }
        });
        for entry in batch {
            let _ = entry.answer.send(Err(Refused::Disk(error.to_string())));
        }
    }
}
