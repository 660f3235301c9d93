//! The auditor: log, facts and usage ledger must say the same at any minute (rule D18).
//!
//! The log is right by definition. [`Auditor`] runs beside the groups and follows them: what both have done is compared once, range by range,
//! so its cost follows new events; the newest ranges are counted again each time, and a slow second look goes round over all the rest. What
//! differs is written down, then repaired: records and calls are written again ([`crate::facts`]), ledger rows posted again under a
//! claim ([`crate::effects`]); then it is compared once more. [`audit`] folds the whole log at once and changes nothing.

mod auditor;
mod compare;
mod full;
mod pass;
mod repair;
mod watch;

use trunkline_core::usage::UnreadableEvidence;
use trunkline_stores::clickhouse::AnalyticsError;
use trunkline_stores::log::LogError;
use trunkline_stores::postgres::PostgresError;

pub use auditor::{Auditor, AuditorOptions, Ground};
pub use full::{Audited, Difference, Report, audit};
pub use pass::{Found, Passed, pass};
pub use watch::{AuditSummary, watch_audited};

/// Records read at once: what is compared at a time, and what a difference narrows down.
const READ_AT_ONCE: usize = 1_000;

/// Why the audit could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// ClickHouse.
    #[error(transparent)]
    Facts(#[from] AnalyticsError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] PostgresError),
    /// What the ledger keeps of a call.
    #[error(transparent)]
    Evidence(#[from] UnreadableEvidence),
}
