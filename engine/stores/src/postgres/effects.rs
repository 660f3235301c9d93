//! Where the effects group keeps what it does: usage of calls and days, and how far it is, all in one transaction a batch (rule D11).

mod ledger;
mod offsets;
mod read;
mod repost;
mod write;

use std::sync::Arc;

use trunkline_core::id::{BusinessId, CallKey, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::usage::Usage;

use super::Database;

pub use ledger::UsageLedger;
pub use offsets::{Advance, Claim, PartitionOffset};
pub use read::{DayUsage, UsageOwner};
pub use repost::{BusinessDay, SummedDay};
pub use write::{Announcement, Written, differences};

/// A handle over the pool; cheap to clone.
#[derive(Clone)]
pub struct Effects {
    database: Database,
    /// Offsets belong to one log; another log has others.
    log_name: Arc<str>,
}

impl Effects {
    /// What the group keeps of the log of this name in `database`, whose schema is up to date.
    pub fn new(database: Database, log_name: impl Into<Arc<str>>) -> Self {
        Self {
            database,
            log_name: log_name.into(),
        }
    }
}

/// What a call adds, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose bill.
    pub business: BusinessId,
    /// Time zone that decided the day.
    pub zone: Arc<str>,
    /// Local date of its opening, as 2026-11-22.
    pub day: Arc<str>,
    /// Partition of the log its events stand in.
    pub partition: u32,
    /// What it adds.
    pub usage: Usage,
}

/// One call as the group keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageCall {
    /// Which call.
    pub key: CallKey,
    /// [`trunkline_core::usage::Evidence`], encoded.
    pub evidence: Vec<u8>,
    /// What has been announced of it.
    pub told: i16,
    /// Workspace of its first record.
    pub workspace: WorkspaceId,
    /// Agent that decides the business; empty for none, and for an id too long to be mapped.
    pub owner_agent: String,
    /// When it belongs on a time line.
    pub opened_at: Millis,
    /// What it adds, and where.
    pub standing: Standing,
}
