//! What is on the spool's disk at the start: segments of a process before, perhaps torn.

use super::SpoolError;
use super::books::{Books, Segment};
use super::disk::Disk;
use super::files::failed;
use super::frame::{Beginning, Frame, Frames, HEAD_BYTES};

/// Reads what a process before left.
pub(super) fn look_through(disk: &dyn Disk) -> Result<Books, SpoolError> {
    let mut books = Books::default();
    for number in disk.numbers()? {
        let path = disk.path(number);
        let stored = disk.whole(number).map_err(|error| failed("read a segment", &path, error))?;
        let delete = || disk.remove(number).map_err(|error| failed("delete an empty segment", &path, error));
        let mark = match Beginning::of(&stored) {
            Beginning::Segment(mark) => mark,
            Beginning::Foreign => return Err(SpoolError::Foreign(path)),
            Beginning::Torn => {
                delete()?;
                continue;
            }
        };
        let length = stored.len() as u64;
        let mut frames = Frames::new(stored, HEAD_BYTES, mark);
        let whole: Vec<Frame> = frames.by_ref().collect();
        report(number, &frames);
        if frames.end() < length {
            // Never acknowledged: an acknowledgement comes after the flush of the whole frame.
            tracing::info!(
                segment = number,
                bytes = length - frames.end(),
                "a segment of the spool ends in a torn record"
            );
        }
        if whole.is_empty() {
            delete()?;
            continue;
        }
        let segment = Segment {
            written: frames.end(),
            is_open: false,
            ..Segment::new(number, mark)
        };
        books.found(segment, whole.iter());
    }
    if books.records() > 0 {
        tracing::info!(
            records = books.records(),
            "the spool holds records from before; they are handed to the event log"
        );
    }
    Ok(books)
}

/// Says what was damaged, if anything: those records are lost, and somebody should know.
pub(super) fn report(segment: u64, frames: &Frames) {
    if frames.damaged_bytes > 0 {
        metrics::counter!("trunkline_spool_damaged_bytes_total").increment(frames.damaged_bytes);
        tracing::error!(
            segment,
            bytes = frames.damaged_bytes,
            "the spool's disk damaged acknowledged records; check it, and look for the missing events at Retell"
        );
    }
}
