//! Writes blocks: one insert is one block of one monthly partition, under a token that makes its repetition harmless.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clickhouse::{RowOwned, RowWrite};
use trunkline_core::instant::Millis;

use super::client::{Analytics, AnalyticsError};
use super::rows::{CallRow, EventRow, TranscriptRow};

/// Most rows of one insert: far below the engine's own block limit, so that an insert is one block and therefore atomic.
pub const BLOCK_ROWS: usize = 8_000;
/// Most bytes of one insert, unless a single row is larger: keeps a repetition cheap and memory bounded. A call has one row for each batch that
/// touches it, with all that was said so far: catching up in small batches would write most calls again and again.
pub const BLOCK_BYTES: usize = 64 * 1024 * 1024;

/// A stalled connection is given up after this while sending (the crate itself waits for ever).
const SEND_LIMIT: Duration = Duration::from_secs(5);
/// The answer to an insert is awaited no longer than this.
const END_LIMIT: Duration = Duration::from_secs(30);
/// One whole attempt, asking for the table's columns included (the crate sets no limit to that).
const WHOLE_LIMIT: Duration = Duration::from_secs(60);

impl Analytics {
    /// Stores records of the log. `token` names their range: `events:<log>:<partition>:<first>-<last>`.
    pub async fn insert_events(&self, rows: &[EventRow], token: &str) -> Result<(), AnalyticsError> {
        for (month, block) in by_month(rows, |row| row.received_at) {
            self.insert_block("events", "insert events", &block, &format!("{token}:{month}"))
                .await?;
        }
        Ok(())
    }

    /// Stores states of calls and cancellations.
    pub async fn insert_calls(&self, rows: &[CallRow], token: &str) -> Result<(), AnalyticsError> {
        for (month, block) in by_month(rows, |row| row.opened_at) {
            self.insert_block("calls", "insert calls", &block, &format!("calls:{token}:{month}"))
                .await?;
        }
        Ok(())
    }

    /// Stores transcripts and cancellations.
    pub async fn insert_transcripts(&self, rows: &[TranscriptRow], token: &str) -> Result<(), AnalyticsError> {
        for (month, block) in by_month(rows, |row| row.opened_at) {
            self.insert_block("transcripts", "insert transcripts", &block, &format!("transcripts:{token}:{month}"))
                .await?;
        }
        Ok(())
    }

    async fn insert_block<R>(&self, table: &'static str, attempt: &'static str, rows: &[&R], token: &str) -> Result<(), AnalyticsError>
    where
        R: RowOwned + RowWrite,
    {
        let begun = Instant::now();
        let outcome = match self.attempt(table, rows, token).await {
            // The table has got a column since the client looked: look again, once.
            Err(clickhouse::error::Error::SchemaMismatch(_)) => {
                self.client.clear_cached_metadata().await;
                self.attempt(table, rows, token).await
            }
            outcome => outcome,
        };
        let result = if outcome.is_ok() { "ok" } else { "error" };
        metrics::histogram!("trunkline_clickhouse_insert_duration_seconds", "table" => table, "result" => result).record(begun.elapsed());
        if outcome.is_ok() {
            metrics::counter!("trunkline_clickhouse_insert_rows_total", "table" => table).increment(rows.len() as u64);
            metrics::histogram!("trunkline_clickhouse_insert_batch_rows", "table" => table).record(rows.len() as f64);
        }
        outcome.map_err(|error| AnalyticsError::of(attempt, error))
    }

    async fn attempt<R>(&self, table: &str, rows: &[&R], token: &str) -> clickhouse::error::Result<()>
    where
        R: RowOwned + RowWrite,
    {
        tokio::time::timeout(WHOLE_LIMIT, self.send(table, rows, token))
            .await
            .unwrap_or(Err(clickhouse::error::Error::TimedOut))
    }

    /// One attempt with an insert of its own: after an error the crate's object must not be used again.
    async fn send<R>(&self, table: &str, rows: &[&R], token: &str) -> clickhouse::error::Result<()>
    where
        R: RowOwned + RowWrite,
    {
        let mut insert = self
            .client
            .insert::<R>(table)
            .await?
            .with_timeouts(Some(SEND_LIMIT), Some(END_LIMIT))
            .with_setting("insert_deduplication_token", token)
            .with_setting("insert_deduplicate", "1")
            .with_setting("async_insert", "0")
            .with_setting("max_insert_threads", "1")
            .with_setting("input_format_parallel_parsing", "0")
            .with_setting("max_insert_block_size", "1048449")
            .with_setting("min_insert_block_size_rows", "1048449")
            .with_setting("min_insert_block_size_bytes", "268402944");
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await
    }
}

/// Rows by the month of their partition, each in the order given: the blocks of one insert.
pub fn by_month<R>(rows: &[R], at: impl Fn(&R) -> i64) -> BTreeMap<i32, Vec<&R>> {
    let mut months: BTreeMap<i32, Vec<&R>> = BTreeMap::new();
    for row in rows {
        months.entry(month_of(Millis(at(row)))).or_default().push(row);
    }
    months
}

/// `toYYYYMM` of a moment in UTC.
fn month_of(at: Millis) -> i32 {
    let date = jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::UTC);
    i32::from(date.year()) * 100 + i32::from(date.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_utc() {
        assert_eq!(month_of(Millis(1_764_547_199_999)), 202511);
        assert_eq!(month_of(Millis(1_764_547_200_000)), 202512);
        assert_eq!(month_of(Millis(0)), 197001);
    }

    #[test]
    fn a_batch_over_a_month_boundary_becomes_two_blocks_in_order() {
        let rows = [1_764_547_200_000, 1_764_547_199_999, 1_764_547_200_001];
        let months = by_month(&rows, |at| *at);
        assert_eq!(
            months.into_iter().collect::<Vec<_>>(),
            vec![(202511, vec![&rows[1]]), (202512, vec![&rows[0], &rows[2]])]
        );
    }
}
