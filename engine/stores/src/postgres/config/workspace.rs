//! Retell workspaces with their keys.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_postgres::Row;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::business::check_zone;
use super::secrets::{RETELL_API_KEY, SIGNING_KEYS};
use super::{Config, audit, column, must_exist, rows};
use crate::postgres::row::{NewWorkspace, Workspace};
use crate::postgres::{PostgresError, tenant};

/// What the business is called that catches calls of unmapped agents.
const UNASSIGNED: &str = "Unassigned";

/// How much of the workspace's name its name repeats: names of businesses have room for 200 characters.
const UNASSIGNED_FOR_CHARS: usize = 180;

/// Characters of a key that may be shown.
const SHOWN_CHARS: usize = 4;

const WORKSPACES: &str = include_str!("../sql/workspaces.sql");

impl Config {
    /// Workspaces of a tenant with their keys, by name; one or all.
    pub async fn workspaces(&self, tenant: TenantId, id: Option<WorkspaceId>) -> Result<Vec<Workspace>, PostgresError> {
        let id = id.map(|id| id.0);
        let found = self.ask_within(tenant, "list workspaces", WORKSPACES, &[&id]).await?;
        found.iter().map(|row| self.read_workspace(tenant, row)).collect()
    }

    /// Makes a workspace together with its own Unassigned business.
    pub async fn create_workspace(&self, tenant: TenantId, by: &By, new: &NewWorkspace) -> Result<WorkspaceId, PostgresError> {
        let doing = "create a workspace";
        check_zone(&new.zone, doing)?;
        let (id, unassigned) = (Uuid::now_v7(), Uuid::now_v7());
        let shown: String = new.name.chars().take(UNASSIGNED_FOR_CHARS).collect();
        let name = format!("{UNASSIGNED} ({shown})");
        let keys = self.sealed_keys(tenant, id, &new.signing_keys);
        let api_key = new.api_key.as_ref().map(|key| self.seal(tenant, RETELL_API_KEY, id, key));
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let no_limit: Option<i32> = None;
        let no_targets = json!({});
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
        let deed = Deed::plain("workspace.link", "workspace", WorkspaceId(id)).after(&json!({
            "name": new.name, "signing_keys": last_fours(&new.signing_keys), "api_key": new.api_key.as_ref().map(last_four),
        }));
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(WorkspaceId(id))
    }

    /// Makes a workspace as `after` says, if it is still as `before` says: name, enabled, limits and keys.
    pub async fn change_workspace(&self, tenant: TenantId, by: &By, before: &Workspace, after: &Workspace) -> Result<(), PostgresError> {
        let doing = "change a workspace";
        let id = before.id.0;
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let held = rows(&transaction, doing, include_str!("../sql/lock_workspace.sql"), &[&id]).await?;
        must_exist(&held, doing)?;
        let held = rows(&transaction, doing, WORKSPACES, &[&id]).await?;
        must_exist(&held, doing)?;
        if !self.read_workspace(tenant, &held[0])?.same(before) {
            return Err(PostgresError::Changed { doing });
        }
        let rate = after.rate_per_second.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX));
        let sql = include_str!("../sql/update_workspace.sql");
        rows(
            &transaction,
            doing,
            sql,
            &[&id, &after.name, &after.enabled, &after.allowed_sources, &rate],
        )
        .await?;
        let keys = self.sealed_keys(tenant, id, &after.signing_keys);
        let api_key = after.api_key.as_ref().map(|key| self.seal(tenant, RETELL_API_KEY, id, key));
        let sql = include_str!("../sql/update_workspace_secrets.sql");
        rows(&transaction, doing, sql, &[&id, &keys, &api_key]).await?;
        let deed = Deed::plain("workspace.change", "workspace", before.id)
            .before(&shown(before))
            .after(&shown(after));
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    fn sealed_keys(&self, tenant: TenantId, id: Uuid, keys: &[SecretString]) -> Vec<String> {
        keys.iter().map(|key| self.seal(tenant, SIGNING_KEYS, id, key)).collect()
    }

    fn read_workspace(&self, tenant: TenantId, row: &Row) -> Result<Workspace, PostgresError> {
        let id: Uuid = column(row, 0)?;
        let open = |name, stored: &str| {
            let doing = "read a workspace";
            self.open(tenant, name, id, stored)
                .map_err(|why| PostgresError::Unreadable { doing, why })
        };
        let keys: Vec<&str> = column(row, 8)?;
        Ok(Workspace {
            id: WorkspaceId(id),
            name: column(row, 1)?,
            enabled: column(row, 2)?,
            unassigned: BusinessId(column(row, 3)?),
            allowed_sources: column(row, 4)?,
            rate_per_second: column::<Option<i32>>(row, 5)?.and_then(|rate| u32::try_from(rate).ok()),
            created_at: Millis(column(row, 6)?),
            token: column(row, 7)?,
            signing_keys: keys.into_iter().map(|key| open(SIGNING_KEYS, key)).collect::<Result<_, _>>()?,
            api_key: column::<Option<&str>>(row, 9)?.map(|key| open(RETELL_API_KEY, key)).transpose()?,
        })
    }
}

/// What people recognise a key by.
pub fn last_four(key: &SecretString) -> String {
    let text = key.expose_secret();
    let skipped = text.chars().count().saturating_sub(SHOWN_CHARS);
    text.chars().skip(skipped).collect()
}

fn last_fours(keys: &[SecretString]) -> Vec<String> {
    keys.iter().map(last_four).collect()
}

/// A workspace as the record of deeds shows it: without its keys.
fn shown(workspace: &Workspace) -> Value {
    json!({
        "name": workspace.name, "enabled": workspace.enabled, "allowed_sources": workspace.allowed_sources,
        "rate_per_second": workspace.rate_per_second, "signing_keys": last_fours(&workspace.signing_keys),
        "api_key": workspace.api_key.as_ref().map(last_four),
    })
}
