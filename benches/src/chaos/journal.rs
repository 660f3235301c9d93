//! What was acknowledged, by our own record: a line an event, on the disk before anybody is told.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use trunkline_core::door;

/// What an event is known by here: SHA-256 of its body as the log keeps it (credentials in it are overwritten, rule A12).
pub type Print = [u8; 32];

/// The print of a body.
pub fn print(body: Bytes) -> Print {
    let (_, kept) = door::route(body);
    Sha256::digest(&kept).into()
}

struct Entry {
    print: Print,
    written: oneshot::Sender<()>,
}

/// How often an event went out and was acknowledged.
#[derive(Debug, Default, Clone, Copy)]
pub struct Count {
    /// Requests that were handed to a node, whatever came of them.
    pub sent: u64,
    /// Requests that a node acknowledged.
    pub acknowledged: u64,
}

/// The record.
pub struct Journal {
    entries: Sender<Entry>,
    counts: Mutex<HashMap<Print, Count>>,
    requests: AtomicU64,
}

impl Journal {
    /// An empty one in a new file.
    pub fn open(path: &Path) -> Result<Journal> {
        let file = File::create_new(path).with_context(|| format!("make {}", path.display()))?;
        let (entries, taken) = channel();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(BufWriter::new(file), &taken))?;
        Ok(Journal {
            entries,
            counts: Mutex::default(),
            requests: AtomicU64::new(0),
        })
    }

    /// An event is about to be handed to a node.
    pub fn sent(&self, print: Print) {
        self.with(|counts| counts.entry(print).or_default().sent += 1);
    }

    /// A node acknowledged it; returns once that is on the disk.
    pub async fn acknowledged(&self, print: Print) -> Result<()> {
        let (written, done) = oneshot::channel();
        self.entries
            .send(Entry { print, written })
            .ok()
            .context("the journal cannot be written")?;
        done.await.context("the journal cannot be written")?;
        self.with(|counts| counts.entry(print).or_default().acknowledged += 1);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Acknowledged requests.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Different events that were acknowledged.
    pub fn different(&self) -> usize {
        self.with(|counts| counts.values().filter(|count| count.acknowledged > 0).count())
    }

    /// All of it.
    pub fn counts(&self) -> HashMap<Print, Count> {
        self.with(|counts| counts.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Print, Count>) -> T) -> T {
        look(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes what has come together, flushes once, and tells all of them. Ends at the first error: then nobody is told any more.
fn write(mut file: BufWriter<File>, taken: &Receiver<Entry>) {
    while let Ok(first) = taken.recv() {
        let entries: Vec<Entry> = std::iter::once(first).chain(taken.try_iter()).collect();
        let kept = entries
            .iter()
            .try_for_each(|entry| writeln!(file, "{}", hex::encode(entry.print)))
            .and_then(|()| file.flush())
            .and_then(|()| file.get_ref().sync_data());
        if let Err(error) = kept {
            eprintln!("the journal cannot be written: {error}");
            return;
        }
        for entry in entries {
            // Who waited may be gone.
            let _ = entry.written.send(());
        }
    }
}
