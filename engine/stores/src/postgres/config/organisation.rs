//! Organisations: made by name, listed for the operator.

use trunkline_core::id::TenantId;
use uuid::Uuid;

use super::{Config, column, must_exist, rows};
use crate::postgres::row::Organisation;
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
        tenant::commit(transaction, doing).await?;
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
}
