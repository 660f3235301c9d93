//! What is read back: calls to go on with, and usage to show.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::usage::Usage;

use super::offsets::stored;
use super::{Effects, Standing, UsageCall};
use crate::postgres::config::{Parameters, column, rows};
use crate::postgres::{PostgresError, tenant};

/// Usage of a business on one of its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// Which business.
    pub business: BusinessId,
    /// Local date, as 2026-11-22.
    pub day: String,
    /// What its calls and chats used.
    pub usage: Usage,
}

/// Calls that stand together because they belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsageOwner {
    /// Whose.
    pub tenant: TenantId,
    /// Workspace of their first record.
    pub workspace: WorkspaceId,
    /// Agent that decides the business.
    pub owner_agent: String,
    /// Where they stand.
    pub business: BusinessId,
    /// Zone that decided their days.
    pub zone: String,
}

impl Effects {
    /// The calls that are kept, of those asked for.
    pub async fn calls(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, UsageCall>, PostgresError> {
        let doing = "read calls of the usage ledger";
        let mut by_tenant: BTreeMap<TenantId, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
        for key in keys {
            let (kinds, ids) = by_tenant.entry(key.tenant).or_default();
            kinds.push(key.kind.as_str());
            ids.push(&key.id);
        }
        let mut found = HashMap::new();
        for (tenant, (kinds, ids)) in by_tenant {
            let sql = include_str!("../sql/usage_calls_of.sql");
            for row in self.ask(tenant, doing, sql, &[&kinds, &ids]).await? {
                let call = call(tenant, &row)?;
                found.insert(call.key.clone(), call);
            }
        }
        Ok(found)
    }

    /// Usage by business and day, from a day to before another; of one business or all.
    pub async fn usage(
        &self,
        tenant: TenantId,
        business: Option<BusinessId>,
        from_day: &str,
        to_day: &str,
    ) -> Result<Vec<DayUsage>, PostgresError> {
        let business = business.map(|business| business.0);
        let sql = include_str!("../sql/usage_days.sql");
        let found = self.ask(tenant, "read usage", sql, &[&from_day, &to_day, &business]).await?;
        found.iter().map(day).collect()
    }

    /// Sums of the days of a tenant in one partition, for the auditor.
    pub async fn days_of_partition(&self, tenant: TenantId, partition: u32) -> Result<Vec<DayUsage>, PostgresError> {
        let sql = include_str!("../sql/usage_days_of_partition.sql");
        let found = self.ask(tenant, "read usage of a partition", sql, &[&stored(partition)]).await?;
        found.iter().map(day).collect()
    }

    /// Where the calls of a tenant on some partitions stand.
    pub async fn owners(&self, tenant: TenantId, partitions: &[u32]) -> Result<Vec<UsageOwner>, PostgresError> {
        let partitions: Vec<i32> = partitions.iter().copied().map(stored).collect();
        let sql = include_str!("../sql/usage_owners.sql");
        let found = self.ask(tenant, "read where calls stand", sql, &[&partitions]).await?;
        let read = |row: &Row| {
            Ok(UsageOwner {
                tenant,
                workspace: WorkspaceId(column(row, 0)?),
                owner_agent: column(row, 1)?,
                business: BusinessId(column(row, 2)?),
                zone: column(row, 3)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Some of the calls that stand together.
    pub async fn calls_of_owner(&self, owner: &UsageOwner, partitions: &[u32], most: i64) -> Result<Vec<CallKey>, PostgresError> {
        let partitions: Vec<i32> = partitions.iter().copied().map(stored).collect();
        let sql = include_str!("../sql/usage_calls_of_owner.sql");
        let found = self
            .ask(
                owner.tenant,
                "read calls that stand together",
                sql,
                &[
                    &partitions,
                    &owner.workspace.0,
                    &owner.owner_agent,
                    &owner.business.0,
                    &owner.zone,
                    &most,
                ],
            )
            .await?;
        found.iter().map(|row| key(owner.tenant, row)).collect()
    }

    pub(super) async fn ask(
        &self,
        tenant: TenantId,
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, PostgresError> {
        let mut client = self.database.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let found = rows(&transaction, doing, sql, parameters).await?;
        tenant::commit(transaction, doing).await?;
        Ok(found)
    }
}

fn key(tenant: TenantId, row: &Row) -> Result<CallKey, PostgresError> {
    let kind = match column(row, 0)? {
        "chat" => Kind::Chat,
        _ => Kind::Call,
    };
    let id: &str = column(row, 1)?;
    Ok(CallKey {
        tenant,
        kind,
        id: id.into(),
    })
}

fn call(tenant: TenantId, row: &Row) -> Result<UsageCall, PostgresError> {
    let (zone, day): (&str, &str) = (column(row, 9)?, column(row, 10)?);
    Ok(UsageCall {
        key: key(tenant, row)?,
        evidence: column(row, 3)?,
        told: column(row, 4)?,
        workspace: WorkspaceId(column(row, 5)?),
        owner_agent: column(row, 6)?,
        opened_at: Millis(column(row, 7)?),
        standing: Standing {
            business: BusinessId(column(row, 8)?),
            zone: zone.into(),
            day: day.into(),
            partition: column::<i32>(row, 2)?.unsigned_abs(),
            usage: Usage {
                calls: column(row, 11)?,
                connected: column(row, 12)?,
                timed: column(row, 13)?,
                talk_ms: column(row, 14)?,
                chats: column(row, 15)?,
                priced: column(row, 16)?,
                cost_microcents: column::<i64>(row, 17)?.into(),
                transfer_leg_microcents: column::<i64>(row, 18)?.into(),
            },
        },
    })
}

pub(super) fn day(row: &Row) -> Result<DayUsage, PostgresError> {
    Ok(DayUsage {
        business: BusinessId(column(row, 0)?),
        day: column(row, 1)?,
        usage: Usage {
            calls: column(row, 2)?,
            connected: column(row, 3)?,
            timed: column(row, 4)?,
            talk_ms: column(row, 5)?,
            chats: column(row, 6)?,
            priced: column(row, 7)?,
            cost_microcents: whole(row, 8)?,
            transfer_leg_microcents: whole(row, 9)?,
        },
    })
}

/// A sum too large for a column of 64 bits comes as text.
fn whole(row: &Row, at: usize) -> Result<i128, PostgresError> {
    let text: &str = column(row, at)?;
    text.parse().map_err(|_| PostgresError::Refused {
        doing: "read usage",
        why: "a sum is no whole number".to_owned(),
    })
}
