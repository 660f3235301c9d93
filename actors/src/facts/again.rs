//! Writes records and calls once more that the auditor found missing or otherwise. Under a token of the repair, not of the batch they came
//! in: ClickHouse may remember that one and would drop the rows in silence. What is there already is kept once by its key.

use std::sync::Arc;

use trunkline_core::id::CallKey;
use trunkline_core::metric::Rules;
use trunkline_stores::clickhouse::{Analytics, AnalyticsError};
use trunkline_stores::log::LogRecord;
use trunkline_stores::postgres::Directory;

use super::cache::Cache;
use super::fold::{fold, touched, untouched};
use super::reading::{Entry, entry};
use super::rows::Rows;

/// Rows that were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// Records of the log.
    pub records: usize,
    /// Calls and chats.
    pub calls: usize,
}

/// Writes these records of the log `log`, and the calls folded from all of their records: those of the records, and `calls`, each with
/// its partition. `name` must be another one for each repair.
pub(crate) async fn write_again(
    analytics: &Analytics,
    (log, records): (&str, &[LogRecord]),
    calls: Vec<(CallKey, u32)>,
    (directory, rules): (&Directory, &Rules),
    name: &str,
) -> Result<Rewritten, AnalyticsError> {
    let log: Arc<str> = log.into();
    let mut entries: Vec<Entry> = records.iter().map(|record| entry(&log, record)).collect();
    let of_records = touched(&entries);
    // Only to find out which of them cannot be applied.
    fold(analytics, &mut Cache::default(), &mut entries, &of_records).await?;
    let events = entries.into_iter().map(|entry| entry.row).collect();
    let mut rows = Rows::new(format!("{name}:events"), events);
    rows.write(analytics).await?;
    let mut keys: Vec<(CallKey, u32)> = of_records.iter().map(|touched| (touched.key.clone(), touched.partition)).collect();
    keys.extend(calls);
    keys.sort_by(|a, b| a.0.id.cmp(&b.0.id).then_with(|| a.0.tenant.0.cmp(&b.0.tenant.0)));
    keys.dedup();
    let mut rewritten = Rewritten {
        records: records.len(),
        calls: 0,
    };
    let mut rows = Rows::new(format!("{name}:calls"), Vec::new());
    for (key, mut held) in fold(analytics, &mut Cache::default(), &mut [], &untouched(keys)).await? {
        rewritten.calls += usize::from(rows.add(&key, &mut held, directory, rules));
    }
    rows.write(analytics).await?;
    Ok(rewritten)
}
