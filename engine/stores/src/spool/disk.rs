//! The disk of a spool, as the spool sees it: numbered segments that are begun, added to, cut and removed.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use super::SpoolError;
use super::frame::Mark;

/// Where segments lie. A trait, because the simulation keeps them in memory, fills the disk up and tears what is being written.
#[async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Numbers of the segments that are there, rising.
    fn numbers(&self) -> Result<Vec<u64>, SpoolError>;

    /// The whole of a segment; blocks.
    fn whole(&self, number: u64) -> io::Result<Bytes>;

    /// A piece of a segment.
    async fn piece(&self, number: u64, from: u64, to: u64) -> io::Result<Bytes>;

    /// Makes a segment with `text` in it; returns once it, and its name, are on the disk for good. After an error nothing of it is there, as
    /// far as the disk lets.
    async fn begin(&self, number: u64, text: &[u8]) -> io::Result<()>;

    /// Adds `text` to the segment that was begun last; returns once it is on the disk for good.
    async fn add(&self, number: u64, text: &[u8]) -> io::Result<()>;

    /// Takes off what is behind `length`.
    fn cut(&self, number: u64, length: u64) -> io::Result<()>;

    /// Removes a segment.
    fn remove(&self, number: u64) -> io::Result<()>;

    /// Keeps a record that the log will never take beside the segments.
    fn set_apart(&self, name: &str, record: &[u8]) -> io::Result<()>;

    /// A mark for a new segment: random, so that no body can hold it.
    fn mark(&self) -> Mark;

    /// Where a segment lies, for messages.
    fn path(&self, number: u64) -> PathBuf;
}
