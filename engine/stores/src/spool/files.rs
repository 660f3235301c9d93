//! The spool's directory: what is found there at the start, where a segment lies, reading a piece of one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::SpoolError;
use super::books::{Books, Piece, Segment};
use super::frame::{Beginning, Frame, Frames, HEAD_BYTES};

const ENDING: &str = "spool";

pub(super) fn failed(attempted: &'static str, directory: &Path, source: io::Error) -> SpoolError {
    SpoolError::Directory {
        attempted,
        directory: directory.to_owned(),
        source,
    }
}

/// Where a segment lies. Names sort like numbers.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.{ENDING}"))
}

/// Takes the directory for this process and reads what a process before left there.
pub(super) fn open(directory: &Path) -> Result<(File, Books), SpoolError> {
    fs::create_dir_all(directory).map_err(|error| failed("make it", directory, error))?;
    let lock = File::create(directory.join("lock")).map_err(|error| failed("make a file", directory, error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => return Err(failed("lock a file", directory, error)),
    }
    let mut books = Books::default();
    for number in numbers(directory)? {
        let path = path(directory, number);
        let stored = Bytes::from(fs::read(&path).map_err(|error| failed("read a segment", directory, error))?);
        let mark = match Beginning::of(&stored) {
            Beginning::Segment(mark) => mark,
            Beginning::Foreign => return Err(SpoolError::Foreign(path)),
            Beginning::Torn => {
                fs::remove_file(&path).map_err(|error| failed("delete an empty segment", directory, error))?;
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
            fs::remove_file(&path).map_err(|error| failed("delete an empty segment", directory, error))?;
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
    Ok((lock, books))
}

fn numbers(directory: &Path) -> Result<Vec<u64>, SpoolError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed("list files", directory, error))? {
        let path = entry.map_err(|error| failed("list files", directory, error))?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            numbers.push(number.ok_or(SpoolError::Foreign(path))?);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a piece of a segment; blocks.
pub(super) fn read(directory: &Path, piece: &Piece) -> io::Result<Bytes> {
    let mut stored = vec![0; usize::try_from(piece.to - piece.from).map_err(io::Error::other)?];
    File::open(path(directory, piece.number))?.read_exact_at(&mut stored, piece.from)?;
    Ok(stored.into())
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

/// Keeps a record that the log will never take, and which must not hold up all others.
pub(super) fn set_apart(directory: &Path, frame: &Frame) -> io::Result<()> {
    let name = format!("refused-{}-{:08x}.record", frame.at.0, crc32fast::hash(&frame.record));
    fs::write(directory.join(&name), &frame.record)?;
    File::open(directory.join(name))?.sync_all()
}
