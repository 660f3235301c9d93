//! The spool's directory: one file a segment, locked by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::SpoolError;
use super::disk::Disk;
use super::frame::Mark;

const ENDING: &str = "spool";

pub(super) fn failed(attempted: &'static str, directory: &Path, source: io::Error) -> SpoolError {
    SpoolError::Directory {
        attempted,
        directory: directory.to_owned(),
        source,
    }
}

/// A directory of files.
pub(super) struct Files {
    directory: PathBuf,
    /// The segment that was written to last.
    open: Mutex<Option<(u64, File)>>,
    /// Held for the life of the process.
    _lock: File,
}

impl Files {
    /// Takes the directory for this process.
    pub fn open(directory: &Path) -> Result<Files, SpoolError> {
        fs::create_dir_all(directory).map_err(|error| failed("make it", directory, error))?;
        let lock = File::create(directory.join("lock")).map_err(|error| failed("make a file", directory, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed("lock a file", directory, error)),
        }
        Ok(Files {
            directory: directory.to_owned(),
            open: Mutex::new(None),
            _lock: lock,
        })
    }

    fn keep_open(&self, number: u64, file: File) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, file));
    }

    fn take_open(&self, number: u64) -> Option<File> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.take_if(|(of, _)| *of == number).map(|(_, file)| file)
    }
}

#[async_trait]
impl Disk for Files {
    fn numbers(&self) -> Result<Vec<u64>, SpoolError> {
        let directory = &self.directory;
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

    fn whole(&self, number: u64) -> io::Result<Bytes> {
        fs::read(self.path(number)).map(Bytes::from)
    }

    async fn piece(&self, number: u64, from: u64, to: u64) -> io::Result<Bytes> {
        let path = self.path(number);
        let read = move || {
            let mut stored = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
            File::open(path)?.read_exact_at(&mut stored, from)?;
            Ok(Bytes::from(stored))
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }

    // These two block: only the writer calls them, on a thread of its own.
    async fn begin(&self, number: u64, text: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(self.path(number))?;
        let flushed = file.write_all(text).and_then(|()| file.sync_data());
        // A file that is not in its directory is not there after a power cut.
        let flushed = flushed.and_then(|()| File::open(&self.directory)?.sync_all());
        if let Err(error) = flushed {
            if let Err(error) = self.remove(number) {
                tracing::warn!(%error, segment = number, "cannot undo a failed write to the spool");
            }
            return Err(error);
        }
        self.keep_open(number, file);
        Ok(())
    }

    async fn add(&self, number: u64, text: &[u8]) -> io::Result<()> {
        let mut file = match self.take_open(number) {
            Some(file) => file,
            None => OpenOptions::new().append(true).open(self.path(number))?,
        };
        file.write_all(text)?;
        file.sync_data()?;
        self.keep_open(number, file);
        Ok(())
    }

    fn cut(&self, number: u64, length: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.path(number))?.set_len(length)
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.path(number))
    }

    fn set_apart(&self, name: &str, record: &[u8]) -> io::Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, record)?;
        File::open(path)?.sync_all()
    }

    fn mark(&self) -> Mark {
        rand::random()
    }

    /// Names sort like numbers.
    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:016}.{ENDING}"))
    }
}
