//! A log that forgets: acknowledges at once, so that what the intake itself costs can be seen.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_core::instant::Millis;
use trunkline_stores::log::{AppendError, EventLog, LogError, LogRecord, Position, Subscription};

/// Counts what it is given and keeps nothing.
#[derive(Default)]
pub struct NoLog {
    appended: AtomicI64,
}

fn nothing() -> LogError {
    LogError::Unavailable("this log keeps nothing".into())
}

#[async_trait]
impl EventLog for NoLog {
    fn partitions(&self) -> u32 {
        1
    }

    fn identity(&self) -> &str {
        "none"
    }

    async fn append(&self, _key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        std::hint::black_box(bytes);
        Ok(Position {
            partition: 0,
            offset: self.appended.fetch_add(1, Ordering::Relaxed),
        })
    }

    async fn subscribe(&self, _group: &str) -> Result<Box<dyn Subscription>, LogError> {
        Err(nothing())
    }

    async fn span(&self, _partition: u32) -> Result<(i64, i64), LogError> {
        Err(nothing())
    }

    async fn offset_at(&self, _partition: u32, _at: Millis) -> Result<i64, LogError> {
        Err(nothing())
    }

    async fn read(&self, _partition: u32, _from: i64, _max: usize) -> Result<Vec<LogRecord>, LogError> {
        Err(nothing())
    }

    async fn committed(&self, _group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        Err(nothing())
    }

    async fn healthy(&self) -> Result<(), LogError> {
        Ok(())
    }

    async fn close(&self) {}
}
