//! Brings what the auditor has found, wherever it runs, to the boards and metrics of this process.

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::auditor::{AuditBook, FindingKind};

use crate::live::{Gap, Live};
use crate::system::wall_clock;

/// How often it is looked: an alarm is at most this old.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Repaired findings count for so long.
const COUNTED_MS: i64 = 86_400_000;

/// What boards say of the auditor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditSummary {
    /// What the log took before this moment was compared; `None` while a partition never was.
    pub to: Option<Millis>,
    /// Differences that are not repaired.
    pub open: u64,
    /// Differences repaired within the last day.
    pub repaired: u64,
    /// Where those are that are not repaired; the first hundred.
    #[serde(skip)]
    pub gaps: Vec<Gap>,
}

/// Looks until `stop`. While Postgres is away, the last figures stay.
pub fn watch_audited(book: AuditBook, live: Live, partitions: u32, stop: CancellationToken) {
    tokio::spawn(async move {
        let look = async {
            loop {
                match summary(&book, partitions).await {
                    Ok(found) => live.note_audited(found),
                    Err(error) => tracing::debug!(%error, "cannot see how far the auditor is"),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(look).await;
    });
}

async fn summary(book: &AuditBook, partitions: u32) -> Result<AuditSummary, PostgresError> {
    let positions = book.positions().await?;
    let counts = book.counts(wall_clock().plus(-COUNTED_MS)).await?;
    let open = book.open().await?;
    for kind in FindingKind::ALL {
        let count = counts.get(&kind).map_or(0, |(open, _)| *open);
        metrics::gauge!("trunkline_audit_findings_open", "kind" => kind.as_str()).set(count as f64);
    }
    let to = positions.iter().map(|at| at.to).min().flatten();
    if let Some(to) = to {
        metrics::gauge!("trunkline_audited_timestamp_seconds").set(to.0 as f64 / 1_000.0);
    }
    let gap = |finding: trunkline_stores::postgres::auditor::Finding| Gap {
        partition: finding.partition,
        first: finding.first,
        last: finding.last,
    };
    Ok(AuditSummary {
        to: to.filter(|_| positions.len() >= partitions as usize),
        open: counts.values().map(|(open, _)| open).sum(),
        repaired: counts.values().map(|(_, repaired)| repaired).sum(),
        gaps: open.into_iter().map(gap).collect(),
    })
}
