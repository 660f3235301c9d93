//! The auditor's way into the ledger: days compared with their calls, and calls and days posted once more under a claim of its own.

use std::collections::BTreeMap;

use trunkline_core::id::{BusinessId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::usage::Usage;

use super::offsets::stored;
use super::read::day;
use super::write::put_calls;
use super::{Advance, Effects, UsageCall, Written};
use crate::postgres::config::{column, rows};
use crate::postgres::{PostgresError, tenant};

/// A business and one of its days.
pub type BusinessDay = (BusinessId, String);

/// What the calls of a day add up to, and what is kept as its sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SummedDay {
    /// Of its calls.
    pub of_calls: Usage,
    /// As kept.
    pub kept: Usage,
}

fn columns(days: &[BusinessDay]) -> (Vec<uuid::Uuid>, Vec<&str>) {
    days.iter().map(|(business, day)| (business.0, day.as_str())).unzip()
}

impl Effects {
    /// Days of a tenant in one partition: kept sums beside the sums of their calls, both of the same moment.
    pub async fn summed_days(
        &self,
        tenant: TenantId,
        partition: u32,
        days: &[BusinessDay],
    ) -> Result<BTreeMap<BusinessDay, SummedDay>, PostgresError> {
        let (businesses, names) = columns(days);
        let sql = include_str!("../sql/usage_days_summed.sql");
        let found = self
            .ask(
                tenant,
                "add up days of the usage ledger",
                sql,
                &[&tenant.0, &stored(partition), &businesses, &names],
            )
            .await?;
        let mut summed: BTreeMap<BusinessDay, SummedDay> = BTreeMap::new();
        for row in &found {
            let of = day(row)?;
            let entry = summed.entry((of.business, of.day)).or_default();
            match column(row, 10)? {
                true => entry.kept = of.usage,
                false => entry.of_calls = of.usage,
            }
        }
        Ok(summed)
    }

    /// Writes calls of one tenant as they must be, and adds these days up again, under a claim: the partition's owner may have written
    /// meanwhile, then nothing is changed.
    pub async fn repost(
        &self,
        fence: &Advance,
        tenant: TenantId,
        calls: &[UsageCall],
        days: &[BusinessDay],
        now: Millis,
    ) -> Result<Written, PostgresError> {
        let doing = "post calls to the usage ledger again";
        let failed = |error: tokio_postgres::Error| PostgresError::from_driver(doing, &error);
        let mut client = self.database.client(doing).await?;
        let transaction = client.transaction().await.map_err(failed)?;
        if !self.advance(&transaction, doing, std::slice::from_ref(fence), now).await? {
            return Ok(Written::Stale);
        }
        tenant::enter(&transaction, tenant, doing).await?;
        let calls: Vec<&UsageCall> = calls.iter().collect();
        put_calls(&transaction, doing, tenant, &calls).await?;
        let (businesses, names) = columns(days);
        let sql = include_str!("../sql/repost_usage_days.sql");
        rows(
            &transaction,
            doing,
            sql,
            &[&tenant.0, &stored(fence.partition), &businesses, &names],
        )
        .await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Written::Done)
    }
}
