//! Retell workspaces. Their keys go in here and come out only with the directory.

use secrecy::SecretString;
use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};
use uuid::Uuid;

use super::organisation::check_zone;
use super::secrets::{RETELL_API_KEY, SIGNING_KEYS};
use super::{Config, column, must_exist, rows};
use crate::postgres::row::{NewWorkspace, Workspace};
use crate::postgres::{PostgresError, tenant};

/// What the business is called that catches calls of unmapped agents.
const UNASSIGNED: &str = "Unassigned";

/// How much of the workspace's name its name repeats: names of businesses have room for 200 characters.
const UNASSIGNED_FOR_CHARS: usize = 180;

impl Config {
    /// Workspaces of a tenant, by name.
    pub async fn workspaces(&self, tenant: TenantId) -> Result<Vec<Workspace>, PostgresError> {
        let found = self
            .ask_within(tenant, "list workspaces", include_str!("../sql/workspaces.sql"), &[])
            .await?;
        let read = |row| {
            Ok(Workspace {
                id: WorkspaceId(column(row, 0)?),
                name: column(row, 1)?,
                enabled: column(row, 2)?,
                unassigned: BusinessId(column(row, 3)?),
                allowed_sources: column(row, 4)?,
                rate_per_second: column::<Option<i32>>(row, 5)?.and_then(|rate| u32::try_from(rate).ok()),
            })
        };
        found.iter().map(read).collect()
    }

    /// Makes a workspace together with its own Unassigned business.
    pub async fn create_workspace(&self, tenant: TenantId, new: &NewWorkspace) -> Result<WorkspaceId, PostgresError> {
        let doing = "create a workspace";
        check_zone(&new.zone, doing)?;
        let (id, unassigned) = (Uuid::now_v7(), Uuid::now_v7());
        let shown: String = new.name.chars().take(UNASSIGNED_FOR_CHARS).collect();
        let name = format!("{UNASSIGNED} ({shown})");
        let keys = self.sealed_keys(tenant, WorkspaceId(id), &new.signing_keys);
        let api_key = new.api_key.as_ref().map(|key| self.seal(tenant, RETELL_API_KEY, id, key));
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let no_limit: Option<i32> = None;
        let no_targets = serde_json::json!({});
        let sql = include_str!("../sql/create_business.sql");
        rows(
            &transaction,
            doing,
            sql,
            &[&tenant.0, &unassigned, &name, &new.zone, &0_i32, &no_limit, &no_targets],
        )
        .await?;
        let sql = include_str!("../sql/create_workspace.sql");
        rows(&transaction, doing, sql, &[&tenant.0, &id, &new.name, &unassigned]).await?;
        let sql = include_str!("../sql/create_workspace_secrets.sql");
        rows(&transaction, doing, sql, &[&tenant.0, &id, &new.token, &keys, &api_key]).await?;
        transaction
            .commit()
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        Ok(WorkspaceId(id))
    }

    /// Opens or closes a workspace's address.
    pub async fn enable_workspace(&self, tenant: TenantId, id: WorkspaceId, enabled: bool) -> Result<(), PostgresError> {
        let doing = "open or close a workspace";
        let sql = include_str!("../sql/enable_workspace.sql");
        must_exist(&self.ask_within(tenant, doing, sql, &[&id.0, &enabled]).await?, doing)
    }

    /// Sets which networks events may come from (CIDR; empty: any) and how many a second (none: no ceiling).
    pub async fn limit_workspace(
        &self,
        tenant: TenantId,
        id: WorkspaceId,
        allowed_sources: &[String],
        rate_per_second: Option<u32>,
    ) -> Result<(), PostgresError> {
        let doing = "limit a workspace";
        let sql = include_str!("../sql/limit_workspace.sql");
        let rate = rate_per_second.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX));
        must_exist(
            &self.ask_within(tenant, doing, sql, &[&id.0, &allowed_sources, &rate]).await?,
            doing,
        )
    }

    /// Replaces the keys that sign a workspace's events: two while rotating, one before and after.
    pub async fn set_signing_keys(&self, tenant: TenantId, id: WorkspaceId, keys: &[SecretString]) -> Result<(), PostgresError> {
        let doing = "set signing keys";
        let sql = include_str!("../sql/set_signing_keys.sql");
        let keys = self.sealed_keys(tenant, id, keys);
        must_exist(&self.ask_within(tenant, doing, sql, &[&id.0, &keys]).await?, doing)
    }

    /// Sets or removes the key for Retell's own API.
    pub async fn set_retell_api_key(&self, tenant: TenantId, id: WorkspaceId, key: Option<&SecretString>) -> Result<(), PostgresError> {
        let doing = "set a Retell API key";
        let sql = include_str!("../sql/set_retell_api_key.sql");
        let key = key.map(|key| self.seal(tenant, RETELL_API_KEY, id.0, key));
        must_exist(&self.ask_within(tenant, doing, sql, &[&id.0, &key]).await?, doing)
    }

    /// What the intake address of a workspace ends in: shown to its owner, to be pasted into Retell.
    pub async fn intake_token(&self, tenant: TenantId, id: WorkspaceId) -> Result<Option<String>, PostgresError> {
        let sql = include_str!("../sql/intake_token.sql");
        let found = self.ask_within(tenant, "read an intake token", sql, &[&id.0]).await?;
        found.first().map(|row| column(row, 0)).transpose().map(Option::flatten)
    }

    fn sealed_keys(&self, tenant: TenantId, id: WorkspaceId, keys: &[SecretString]) -> Vec<String> {
        keys.iter().map(|key| self.seal(tenant, SIGNING_KEYS, id.0, key)).collect()
    }
}
