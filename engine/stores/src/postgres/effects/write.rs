//! One batch, one transaction: calls, days, offsets and the fence stand or fall together.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use trunkline_core::announcement::Topic;
use trunkline_core::id::{BusinessId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::usage::Usage;

use super::offsets::stored;
use super::{Advance, Effects, Standing, UsageCall};
use crate::postgres::config::rows;
use crate::postgres::{PostgresError, tenant};

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is there, once.
    Done,
    /// A partition has another owner by now, or is elsewhere: nothing was changed.
    Stale,
}

/// What the outside is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Whose.
    pub tenant: TenantId,
    /// Of which business.
    pub business: BusinessId,
    /// What it is about.
    pub topic: Topic,
    /// What endpoints receive.
    pub body: String,
}

/// A business, a day and a partition.
type Place = (BusinessId, Arc<str>, u32);

/// What the sums of days change by, when these calls stood somewhere before and stand here now.
pub fn differences<'a>(calls: impl IntoIterator<Item = (Option<&'a Standing>, &'a Standing)>) -> BTreeMap<Place, Usage> {
    let mut sums: BTreeMap<Place, Usage> = BTreeMap::new();
    for (before, now) in calls {
        let place = |standing: &Standing| (standing.business, standing.day.clone(), standing.partition);
        if let Some(before) = before {
            let sum = sums.entry(place(before)).or_default();
            *sum = *sum - before.usage;
        }
        *sums.entry(place(now)).or_default() += now.usage;
    }
    sums.retain(|_, sum| *sum != Usage::default());
    sums
}

/// Calls of one tenant, with where they stood before.
type Changed<'a> = Vec<&'a (Option<Standing>, UsageCall)>;

impl Effects {
    /// Writes a batch: the calls as they are now, each with where it stood when it was read, and a job for each endpoint that wants
    /// to be told of one of them.
    pub async fn write(
        &self,
        advances: &[Advance],
        calls: &[(Option<Standing>, UsageCall)],
        announcements: &[Announcement],
        now: Millis,
    ) -> Result<Written, PostgresError> {
        let doing = "write to the usage ledger";
        let failed = |error: tokio_postgres::Error| PostgresError::from_driver(doing, &error);
        let mut client = self.database.client(doing).await?;
        let transaction = client.transaction().await.map_err(failed)?;
        // First, and held until the commit: who lost a partition waits here and then finds that it has.
        if !self.advance(&transaction, doing, advances, now).await? {
            return Ok(Written::Stale);
        }
        let mut by_tenant: BTreeMap<TenantId, Changed<'_>> = BTreeMap::new();
        for changed in calls {
            by_tenant.entry(changed.1.key.tenant).or_default().push(changed);
        }
        for (tenant, calls) in by_tenant {
            tenant::enter(&transaction, tenant, doing).await?;
            let now_kept: Vec<&UsageCall> = calls.iter().map(|(_, call)| call).collect();
            put_calls(&transaction, doing, tenant, &now_kept).await?;
            let stands = calls.iter().map(|(before, call)| (before.as_ref(), &call.standing));
            add_days(&transaction, doing, tenant, &differences(stands)).await?;
            let told = announcements.iter().filter(|announcement| announcement.tenant == tenant);
            add_jobs(&transaction, doing, tenant, told, now).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(Written::Done)
    }

    pub(super) async fn advance(
        &self,
        transaction: &Transaction<'_>,
        doing: &'static str,
        advances: &[Advance],
        now: Millis,
    ) -> Result<bool, PostgresError> {
        let partitions: Vec<i32> = advances.iter().map(|advance| stored(advance.partition)).collect();
        let epochs: Vec<i64> = advances.iter().map(|advance| advance.epoch).collect();
        let from: Vec<i64> = advances.iter().map(|advance| advance.from).collect();
        let to: Vec<i64> = advances.iter().map(|advance| advance.to).collect();
        let sql = include_str!("../sql/effects_advance.sql");
        let moved = rows(
            transaction,
            doing,
            sql,
            &[&&*self.log_name, &partitions, &epochs, &from, &to, &now.0],
        )
        .await?;
        Ok(moved.len() == advances.len())
    }
}

/// Per call within 64 bits (see [`trunkline_core::usage`]).
fn cut(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) async fn put_calls(
    transaction: &Transaction<'_>,
    doing: &'static str,
    tenant: TenantId,
    calls: &[&UsageCall],
) -> Result<(), PostgresError> {
    let all = |of: fn(&UsageCall) -> i64| calls.iter().map(|call| of(call)).collect::<Vec<i64>>();
    let texts = |of: fn(&UsageCall) -> &str| calls.iter().map(|call| of(call)).collect::<Vec<&str>>();
    let partitions: Vec<i32> = calls.iter().map(|call| stored(call.standing.partition)).collect();
    let evidence: Vec<&[u8]> = calls.iter().map(|call| &*call.evidence).collect();
    let told: Vec<i16> = calls.iter().map(|call| call.told).collect();
    let workspaces: Vec<_> = calls.iter().map(|call| call.workspace.0).collect();
    let businesses: Vec<_> = calls.iter().map(|call| call.standing.business.0).collect();
    let sql = include_str!("../sql/put_usage_calls.sql");
    rows(
        transaction,
        doing,
        sql,
        &[
            &tenant.0,
            &texts(|call| call.key.kind.as_str()),
            &texts(|call| &call.key.id),
            &partitions,
            &evidence,
            &told,
            &workspaces,
            &texts(|call| &call.owner_agent),
            &all(|call| call.opened_at.0),
            &businesses,
            &texts(|call| &call.standing.zone),
            &texts(|call| &call.standing.day),
            &all(|call| call.standing.usage.calls),
            &all(|call| call.standing.usage.connected),
            &all(|call| call.standing.usage.timed),
            &all(|call| call.standing.usage.talk_ms),
            &all(|call| call.standing.usage.chats),
            &all(|call| call.standing.usage.priced),
            &all(|call| cut(call.standing.usage.cost_microcents)),
            &all(|call| cut(call.standing.usage.transfer_leg_microcents)),
        ],
    )
    .await
    .map(drop)
}

async fn add_days(
    transaction: &Transaction<'_>,
    doing: &'static str,
    tenant: TenantId,
    sums: &BTreeMap<Place, Usage>,
) -> Result<(), PostgresError> {
    if sums.is_empty() {
        return Ok(());
    }
    let businesses: Vec<_> = sums.keys().map(|(business, _, _)| business.0).collect();
    let days: Vec<&str> = sums.keys().map(|(_, day, _)| &**day).collect();
    let partitions: Vec<i32> = sums.keys().map(|(_, _, partition)| stored(*partition)).collect();
    let all = |of: fn(&Usage) -> i64| sums.values().map(of).collect::<Vec<i64>>();
    let texts = |of: fn(&Usage) -> i128| sums.values().map(|sum| of(sum).to_string()).collect::<Vec<String>>();
    let sql = include_str!("../sql/add_usage_days.sql");
    rows(
        transaction,
        doing,
        sql,
        &[
            &tenant.0,
            &businesses,
            &days,
            &partitions,
            &all(|sum| sum.calls),
            &all(|sum| sum.connected),
            &all(|sum| sum.timed),
            &all(|sum| sum.talk_ms),
            &all(|sum| sum.chats),
            &all(|sum| sum.priced),
            &texts(|sum| sum.cost_microcents),
            &texts(|sum| sum.transfer_leg_microcents),
        ],
    )
    .await
    .map(drop)
}

async fn add_jobs(
    transaction: &Transaction<'_>,
    doing: &'static str,
    tenant: TenantId,
    announcements: impl Iterator<Item = &Announcement>,
    now: Millis,
) -> Result<(), PostgresError> {
    let announcements: Vec<&Announcement> = announcements.collect();
    if announcements.is_empty() {
        return Ok(());
    }
    let businesses: Vec<_> = announcements.iter().map(|told| told.business.0).collect();
    let topics: Vec<&str> = announcements.iter().map(|told| told.topic.as_str()).collect();
    let bodies: Vec<&str> = announcements.iter().map(|told| &*told.body).collect();
    let sql = include_str!("../sql/add_webhook_jobs.sql");
    rows(transaction, doing, sql, &[&tenant.0, &businesses, &topics, &bodies, &now.0])
        .await
        .map(drop)
}
