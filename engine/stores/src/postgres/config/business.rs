//! Businesses, and which agent belongs to which of them.

use serde_json::json;
use tokio_postgres::Row;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, TenantId};
use uuid::Uuid;

use super::{Config, audit, column, must_exist, rows};
use crate::postgres::row::{AgentMapping, Business, NewBusiness};
use crate::postgres::{PostgresError, tenant};

impl Config {
    /// Businesses of a tenant, by name; one or all.
    pub async fn businesses(&self, tenant: TenantId, id: Option<BusinessId>) -> Result<Vec<Business>, PostgresError> {
        let sql = include_str!("../sql/businesses.sql");
        let id = id.map(|id| id.0);
        let found = self.ask_within(tenant, "list businesses", sql, &[&id]).await?;
        found.iter().map(read_business).collect()
    }

    /// Makes a business.
    pub async fn create_business(&self, tenant: TenantId, by: &By, new: &NewBusiness) -> Result<BusinessId, PostgresError> {
        let doing = "create a business";
        check_zone(&new.zone, doing)?;
        let id = BusinessId(Uuid::now_v7());
        let sql = include_str!("../sql/create_business.sql");
        let (start, limit) = numbers(new, doing)?;
        let deed = Deed::plain("business.create", "business", id).after(new);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&tenant.0, &id.0, &new.name, &new.zone, &start, &limit, &new.targets];
        self.change(tenant, (by, &deed), doing, sql, &parameters).await?;
        Ok(id)
    }

    /// Replaces what is known of a business, if it is still as `before` says.
    pub async fn change_business(&self, tenant: TenantId, by: &By, before: &Business, new: &NewBusiness) -> Result<(), PostgresError> {
        let doing = "change a business";
        check_zone(&new.zone, doing)?;
        let (start, limit) = numbers(new, doing)?;
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let held = rows(&transaction, doing, include_str!("../sql/lock_business.sql"), &[&before.id.0]).await?;
        must_exist(&held, doing)?;
        if read_business(&held[0])? != *before {
            return Err(PostgresError::Changed { doing });
        }
        let sql = include_str!("../sql/update_business.sql");
        rows(
            &transaction,
            doing,
            sql,
            &[&before.id.0, &new.name, &new.zone, &start, &limit, &new.targets],
        )
        .await?;
        let deed = Deed::plain("business.change", "business", before.id).before(before).after(new);
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// Mapped agents of a tenant, by agent id.
    pub async fn agents(&self, tenant: TenantId) -> Result<Vec<AgentMapping>, PostgresError> {
        let found = self
            .ask_within(tenant, "list agents", include_str!("../sql/agents.sql"), &[])
            .await?;
        let read = |row| {
            Ok(AgentMapping {
                agent_id: column(row, 0)?,
                business: BusinessId(column(row, 1)?),
                name: column(row, 2)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Maps an agent to a business of the same tenant; a later mapping replaces an earlier one. An empty name keeps the old one.
    pub async fn map_agent(
        &self,
        tenant: TenantId,
        by: &By,
        agent_id: &str,
        business: BusinessId,
        name: &str,
    ) -> Result<(), PostgresError> {
        let sql = include_str!("../sql/map_agent.sql");
        let deed = Deed::plain("agent.map", "agent", agent_id).after(&json!({ "business": business.to_string() }));
        self.change(
            tenant,
            (by, &deed),
            "map an agent",
            sql,
            &[&tenant.0, &agent_id, &business.0, &name],
        )
        .await
        .map(drop)
    }

    /// Takes an agent's mapping away; its calls go to Unassigned from then on.
    pub async fn unmap_agent(&self, tenant: TenantId, by: &By, agent_id: &str) -> Result<(), PostgresError> {
        let doing = "unmap an agent";
        let sql = include_str!("../sql/unmap_agent.sql");
        let deed = Deed::plain("agent.unmap", "agent", agent_id);
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&agent_id]).await?, doing)
    }
}

fn numbers(new: &NewBusiness, doing: &'static str) -> Result<(i32, Option<i32>), PostgresError> {
    let limit = new
        .concurrency_limit
        .map(i32::try_from)
        .transpose()
        .map_err(|_| PostgresError::Refused {
            doing,
            why: format!("a concurrency limit above {} makes no sense", i32::MAX),
        })?;
    Ok((i32::from(new.day_start_minute), limit))
}

/// A board that cannot compute its day is worse than a refusal now.
pub(super) fn check_zone(zone: &str, doing: &'static str) -> Result<(), PostgresError> {
    jiff::tz::TimeZone::get(zone).map(drop).map_err(|_| PostgresError::Refused {
        doing,
        why: "time zone is not an IANA name such as Europe/Madrid".into(),
    })
}

fn read_business(row: &Row) -> Result<Business, PostgresError> {
    Ok(Business {
        id: BusinessId(column(row, 0)?),
        name: column(row, 1)?,
        zone: column(row, 2)?,
        day_start_minute: u16::try_from(column::<i32>(row, 3)?).unwrap_or_default(),
        concurrency_limit: column::<Option<i32>>(row, 4)?.and_then(|limit| u32::try_from(limit).ok()),
        targets: column(row, 5)?,
    })
}
