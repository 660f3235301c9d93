//! The ledger as its writer sees it: claims, what is read before a batch, and the one write.

use std::collections::HashMap;

use async_trait::async_trait;
use trunkline_core::id::{CallKey, TenantId};
use trunkline_core::instant::Millis;

use super::{Advance, Announcement, Claim, Effects, Standing, UsageCall, UsageOwner, Written};
use crate::postgres::PostgresError;

/// What the effects group reads and writes. A trait, because the simulation keeps it in memory and loses answers.
#[async_trait]
pub trait UsageLedger: Send + Sync + 'static {
    /// Takes a partition over: whoever had it can write nothing any more. The log holds offsets from `begins` to before `end`.
    async fn claim(&self, partition: u32, begins: i64, end: i64) -> Result<Claim, PostgresError>;

    /// The calls that are kept, of those asked for.
    async fn calls(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, UsageCall>, PostgresError>;

    /// Where the calls of a tenant on some partitions stand.
    async fn owners(&self, tenant: TenantId, partitions: &[u32]) -> Result<Vec<UsageOwner>, PostgresError>;

    /// Some of the calls that stand together.
    async fn calls_of_owner(&self, owner: &UsageOwner, partitions: &[u32], most: i64) -> Result<Vec<CallKey>, PostgresError>;

    /// Writes a batch, all of it or nothing: offsets under their fence, calls, days and announcements.
    async fn write(
        &self,
        advances: &[Advance],
        calls: &[(Option<Standing>, UsageCall)],
        announcements: &[Announcement],
        now: Millis,
    ) -> Result<Written, PostgresError>;
}

#[async_trait]
impl UsageLedger for Effects {
    async fn claim(&self, partition: u32, begins: i64, end: i64) -> Result<Claim, PostgresError> {
        self.claim(partition, begins, end).await
    }

    async fn calls(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, UsageCall>, PostgresError> {
        self.calls(keys).await
    }

    async fn owners(&self, tenant: TenantId, partitions: &[u32]) -> Result<Vec<UsageOwner>, PostgresError> {
        self.owners(tenant, partitions).await
    }

    async fn calls_of_owner(&self, owner: &UsageOwner, partitions: &[u32], most: i64) -> Result<Vec<CallKey>, PostgresError> {
        self.calls_of_owner(owner, partitions, most).await
    }

    async fn write(
        &self,
        advances: &[Advance],
        calls: &[(Option<Standing>, UsageCall)],
        announcements: &[Announcement],
        now: Millis,
    ) -> Result<Written, PostgresError> {
        self.write(advances, calls, announcements, now).await
    }
}
