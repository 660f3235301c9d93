//! Reads records in offset order and notices when one is missing.

use bytes::Bytes;
use tokio_postgres::Row;
use trunkline_core::instant::Millis;

use super::{LogError, LogRecord, Position, Shared, ask, column, no_partition, number};

/// Most bytes fetched at once (one record may be larger): bounds memory whatever the size of records.
pub(super) const BATCH_BYTES: i64 = 4 * 1024 * 1024;

/// Most records fetched at once.
pub(super) const BATCH_RECORDS: i64 = 512;

pub(super) const RECORDS: &str = include_str!("../sql/read_records.sql");

/// First offset still there, and the one the next record will have.
pub(super) async fn span(shared: &Shared, partition: u32) -> Result<(i64, i64), LogError> {
    let rows = ask(
        &shared.database,
        "read the span of a partition",
        include_str!("../sql/span.sql"),
        &[&number(partition)],
    )
    .await?;
    let row = rows.first().ok_or_else(|| no_partition(partition))?;
    Ok((column(row, 0)?, column(row, 1)?))
}

/// Up to `max` records from `from`.
pub(super) async fn records(shared: &Shared, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
    let mut found: Vec<LogRecord> = Vec::new();
    let mut next = from;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    while next - from < max {
        let count = (max - (next - from)).min(BATCH_RECORDS);
        let rows = ask(
            &shared.database,
            "read records",
            RECORDS,
            &[&number(partition), &next, &count, &BATCH_BYTES],
        )
        .await?;
        if rows.is_empty() {
            break;
        }
        take(partition, &mut next, &rows, &mut found)?;
    }
    if found.is_empty() {
        let (begins, end) = span(shared, partition).await?;
        if from < begins || from > end {
            return Err(LogError::Gone {
                partition,
                wanted: from,
                begins,
            });
        }
    }
    Ok(found)
}

/// Turns rows into records. They must go on exactly at `next`, which is moved behind the last.
pub(super) fn take(partition: u32, next: &mut i64, rows: &[Row], into: &mut Vec<LogRecord>) -> Result<(), LogError> {
    into.reserve(rows.len());
    for row in rows {
        let offset: i64 = column(row, 0)?;
        if offset != *next {
            return Err(LogError::Gone {
                partition,
                wanted: *next,
                begins: offset,
            });
        }
        let bytes = Bytes::copy_from_slice(column::<&[u8]>(row, 2)?);
        into.push(LogRecord {
            position: Position { partition, offset },
            appended_at: Millis(column(row, 1)?),
            bytes,
        });
        *next += 1;
    }
    Ok(())
}
