//! Organisations, businesses, and which agent belongs to which business.

use trunkline_core::id::{BusinessId, TenantId};
use uuid::Uuid;

use super::{Config, column, must_exist, rows};
use crate::postgres::row::{AgentMapping, Business, NewBusiness, Organisation};
use crate::postgres::{PostgresError, tenant};

impl Config {
    /// The organisation of this name, made now when there is none.
    pub async fn ensure_organisation(&self, name: &str) -> Result<TenantId, PostgresError> {
        let doing = "make an organisation";
        let mut client = self.client(doing).await?;
        let fresh = TenantId(Uuid::now_v7());
        let transaction = tenant::begin(&mut client, fresh, doing).await?;
        rows(&transaction, doing, include_str!("../sql/lock_organisation_name.sql"), &[&name]).await?;
        let found = rows(&transaction, doing, include_str!("../sql/organisation_by_name.sql"), &[&name]).await?;
        if let Some(id) = found.first().map(|row| column::<Option<Uuid>>(row, 0)).transpose()?.flatten() {
            return Ok(TenantId(id));
        }
        rows(
            &transaction,
            doing,
            include_str!("../sql/create_organisation.sql"),
            &[&fresh.0, &name],
        )
        .await?;
        transaction
            .commit()
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        Ok(fresh)
    }

    /// The name of an organisation.
    pub async fn organisation_name(&self, tenant: TenantId) -> Result<String, PostgresError> {
        let doing = "read an organisation";
        let sql = include_str!("../sql/organisation_name.sql");
        let found = self.ask_within(tenant, doing, sql, &[]).await?;
        must_exist(&found, doing)?;
        column(&found[0], 0)
    }

    /// Every organisation of the platform: for the operator, and for jobs that go from tenant to tenant.
    pub async fn organisations(&self) -> Result<Vec<Organisation>, PostgresError> {
        let found = self
            .ask("list organisations", include_str!("../sql/organisations.sql"), &[])
            .await?;
        found
            .iter()
            .map(|row| {
                Ok(Organisation {
                    id: TenantId(column(row, 0)?),
                    name: column(row, 1)?,
                })
            })
            .collect()
    }

    /// Businesses of a tenant, by name.
    pub async fn businesses(&self, tenant: TenantId) -> Result<Vec<Business>, PostgresError> {
        let found = self
            .ask_within(tenant, "list businesses", include_str!("../sql/businesses.sql"), &[])
            .await?;
        found.iter().map(read_business).collect()
    }

    /// Makes a business.
    pub async fn create_business(&self, tenant: TenantId, new: &NewBusiness) -> Result<BusinessId, PostgresError> {
        let doing = "create a business";
        check_zone(&new.zone, doing)?;
        let id = BusinessId(Uuid::now_v7());
        let sql = include_str!("../sql/create_business.sql");
        let (start, limit) = numbers(new, doing)?;
        self.ask_within(
            tenant,
            doing,
            sql,
            &[&tenant.0, &id.0, &new.name, &new.zone, &start, &limit, &new.targets],
        )
        .await?;
        Ok(id)
    }

    /// Replaces what is known of a business.
    pub async fn update_business(&self, tenant: TenantId, id: BusinessId, new: &NewBusiness) -> Result<(), PostgresError> {
        let doing = "change a business";
        check_zone(&new.zone, doing)?;
        let sql = include_str!("../sql/update_business.sql");
        let (start, limit) = numbers(new, doing)?;
        let found = self
            .ask_within(tenant, doing, sql, &[&id.0, &new.name, &new.zone, &start, &limit, &new.targets])
            .await?;
        must_exist(&found, doing)
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
    pub async fn map_agent(&self, tenant: TenantId, agent_id: &str, business: BusinessId, name: &str) -> Result<(), PostgresError> {
        let sql = include_str!("../sql/map_agent.sql");
        self.ask_within(tenant, "map an agent", sql, &[&tenant.0, &agent_id, &business.0, &name])
            .await?;
        Ok(())
    }

    /// Takes an agent's mapping away; its calls go to Unassigned from then on.
    pub async fn unmap_agent(&self, tenant: TenantId, agent_id: &str) -> Result<(), PostgresError> {
        let doing = "unmap an agent";
        must_exist(
            &self
                .ask_within(tenant, doing, include_str!("../sql/unmap_agent.sql"), &[&agent_id])
                .await?,
            doing,
        )
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

fn read_business(row: &tokio_postgres::Row) -> Result<Business, PostgresError> {
    Ok(Business {
        id: BusinessId(column(row, 0)?),
        name: column(row, 1)?,
        zone: column(row, 2)?,
        day_start_minute: u16::try_from(column::<i32>(row, 3)?).unwrap_or_default(),
        concurrency_limit: column::<Option<i32>>(row, 4)?.and_then(|limit| u32::try_from(limit).ok()),
        targets: column(row, 5)?,
    })
}
