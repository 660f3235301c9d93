//! What the log cannot take at the moment, on a disk of our own: fsynced before it is acknowledged, appended to the log when that is back.
//!
//! [`Keeper`] is the intake's way to durability: the log first, the spool when the log is away or slow. [`pen`] writes and flushes for many
//! callers at once; [`drain`] hands records over in order of arrival per call; [`books`] knows what is where. Segments are
//! deleted when all of them is in the log, so a process that dies in between hands the rest of a segment over twice. That is harmless:
//! the record's bytes, and with them its stamp, are the same, and one stamp is one record (rule B1).

mod books;
mod disk;
mod drain;
mod files;
mod frame;
mod keeper;
mod opening;
mod pen;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use trunkline_core::instant::Millis;

use books::Books;
use frame::Frame;
use pen::Entry;

pub use disk::Disk;
pub use frame::Mark;
pub use keeper::{KeepError, Keeper, Kept};

/// Where the spool is and how large it may become.
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    /// Directory of its own; made when missing. One process at a time.
    pub directory: PathBuf,
    /// Bytes on disk at most; 0: nothing is ever spooled.
    pub bytes_max: u64,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The directory or a file in it cannot be used.
    #[error("cannot {attempted} in the spool directory {}: {source}", .directory.display())]
    Directory {
        /// What was tried.
        attempted: &'static str,
        /// Where.
        directory: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Two processes would hand over the same records.
    #[error("the spool directory {} is in use by another process; give each process its own", .0.display())]
    InUse(PathBuf),
    /// Written by a later version, or not by us.
    #[error("{} is no spool segment that this version can read; start the version that wrote it, or move the file away", .0.display())]
    Foreign(PathBuf),
}

/// Why a record was not spooled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No room.
    #[error("the spool is full")]
    Full,
    /// Not written or not flushed.
    #[error("the spool's disk does not take it: {0}")]
    Disk(String),
}

/// What is in the spool, for metrics, readiness and the operator page.
#[derive(Debug, Clone, Serialize)]
pub struct SpoolState {
    /// Records that the log does not have yet.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The limit.
    pub bytes_max: u64,
    /// When the oldest of these records came.
    pub oldest: Option<Millis>,
    /// True while the log takes nothing.
    pub log_away: bool,
    /// Why the disk took nothing the last time, if it did not.
    pub trouble: Option<String>,
}

impl SpoolState {
    /// True when nothing more fits or the disk refuses.
    pub fn is_unusable(&self) -> bool {
        self.trouble.is_some() || self.bytes >= self.bytes_max
    }

    /// How long the oldest record has been waiting, in ms.
    pub fn age_ms(&self, now: Millis) -> i64 {
        self.oldest.map_or(0, |oldest| now.since(oldest).max(0))
    }
}

/// The records on disk.
struct Spool {
    disk: Arc<dyn Disk>,
    bytes_max: u64,
    books: Mutex<Books>,
    /// Records not yet in the log, once more outside the lock: the usual event looks at this only.
    records: AtomicU64,
    log_away: AtomicBool,
    /// Rung when there is something to hand over.
    more: Notify,
}

/// Hands records to the pen; the pen ends when all of these are gone.
type Desk = mpsc::UnboundedSender<Entry>;

impl Spool {
    /// The spool over what is on this disk.
    fn over(disk: Arc<dyn Disk>, bytes_max: u64) -> Result<Arc<Spool>, SpoolError> {
        let books = opening::look_through(&*disk)?;
        Ok(Arc::new(Spool {
            disk,
            bytes_max,
            records: AtomicU64::new(books.records()),
            books: Mutex::new(books),
            log_away: AtomicBool::new(false),
            more: Notify::new(),
        }))
    }

    /// Spools a record; returns once it is flushed to disk.
    async fn write(&self, desk: &Desk, key: &str, record: Bytes, at: Millis) -> Result<(), Refused> {
        let frame = Frame {
            at,
            key: key.to_owned(),
            record,
        };
        // Entered before it is written, so that the next event of the call comes behind it.
        self.change(|books| books.enter(&frame, self.bytes_max))?;
        let (answer, answered) = oneshot::channel();
        let gone = || Refused::Disk("its writer has ended".to_owned());
        desk.send(Entry { frame, answer }).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// True when an event of this call may go to the log itself.
    fn lets_pass(&self, key: &str) -> bool {
        self.records.load(Ordering::Acquire) == 0 || !self.is_away() && !self.books().holds(key)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, work: impl FnOnce(&mut Books) -> T) -> T {
        let mut books = self.books();
        let result = work(&mut books);
        self.records.store(books.records(), Ordering::Release);
        result
    }

    fn is_away(&self) -> bool {
        self.log_away.load(Ordering::Acquire)
    }

    fn set_away(&self, away: bool) {
        if self.log_away.swap(away, Ordering::AcqRel) == away {
            return;
        }
        if away {
            tracing::warn!("the event log is away; events go to the spool");
        } else {
            tracing::info!("the event log is back; the spool is being handed over");
        }
    }

    fn delete(&self, segments: Vec<u64>) {
        for number in segments {
            if let Err(error) = self.disk.remove(number) {
                tracing::warn!(%error, segment = number, "cannot delete a drained segment of the spool; it will be handed over again");
            }
        }
    }

    fn state(&self) -> SpoolState {
        let books = self.books();
        SpoolState {
            records: books.records(),
            bytes: books.bytes(),
            bytes_max: self.bytes_max,
            oldest: books.oldest,
            log_away: self.is_away(),
            trouble: books.trouble.clone(),
        }
    }
}
