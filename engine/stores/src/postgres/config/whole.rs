//! Reads the configuration of the whole platform at one moment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use deadpool_postgres::Transaction;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::IsolationLevel;
use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};

use super::secrets::{RETELL_API_KEY, SIGNING_KEYS};
use super::{Config, column, rows};
use crate::postgres::PostgresError;
use crate::postgres::directory::{BusinessEntry, Directory, OrganisationEntry, WorkspaceEntry};

const DOING: &str = "read the directory";

impl Config {
    /// Everything the hot path needs, of all tenants, in one consistent read.
    pub async fn directory(&self) -> Result<Directory, PostgresError> {
        let mut client = self.client(DOING).await?;
        let transaction = client
            .build_transaction()
            .read_only(true)
            .isolation_level(IsolationLevel::RepeatableRead)
            .start()
            .await
            .map_err(|error| PostgresError::from_driver(DOING, &error))?;
        let mut directory = Directory::default();
        let mut print = DefaultHasher::new();
        read_organisations(&transaction, &mut directory, &mut print).await?;
        read_businesses(&transaction, &mut directory, &mut print).await?;
        self.read_workspaces(&transaction, &mut directory, &mut print).await?;
        read_agents(&transaction, &mut directory, &mut print).await?;
        directory.version = print.finish();
        Ok(directory)
    }

    /// A secret that does not open costs its workspace that key, and nobody else anything.
    async fn read_workspaces(&self, from: &Transaction<'_>, into: &mut Directory, print: &mut impl Hasher) -> Result<(), PostgresError> {
        for row in rows(from, DOING, include_str!("../sql/all_workspaces.sql"), &[]).await? {
            let (tenant, id) = (TenantId(column(&row, 0)?), WorkspaceId(column(&row, 1)?));
            let (token, keys): (String, Vec<&str>) = (column(&row, 7)?, column(&row, 8)?);
            let open = |name, stored: &str| self.open(tenant, name, id.0, stored).ok();
            let keys: Vec<SecretString> = keys.into_iter().filter_map(|key| open(SIGNING_KEYS, key)).collect();
            let api_key = column::<Option<&str>>(&row, 9)?.and_then(|key| open(RETELL_API_KEY, key));
            let unassigned = BusinessId(column(&row, 4)?);
            // Of the secrets, not of their stored form: a rotation of master keys changes nothing for anybody.
            for secret in keys.iter().chain(&api_key) {
                secret.expose_secret().hash(print);
            }
            (&token, keys.len(), unassigned).hash(print);
            let entry = WorkspaceEntry {
                tenant,
                workspace: id,
                name: column(&row, 2)?,
                enabled: column(&row, 3)?,
                signing_keys: keys,
                allowed_sources: column(&row, 5)?,
                rate_per_second: column::<Option<i32>>(&row, 6)?.and_then(|rate| u32::try_from(rate).ok()),
                api_key,
            };
            (
                entry.tenant,
                entry.workspace,
                &entry.name,
                entry.enabled,
                &entry.allowed_sources,
                entry.rate_per_second,
            )
                .hash(print);
            into.unassigned.insert(entry.workspace, unassigned);
            into.by_token.insert(token, Arc::new(entry));
        }
        Ok(())
    }
}

async fn read_organisations(from: &Transaction<'_>, into: &mut Directory, print: &mut impl Hasher) -> Result<(), PostgresError> {
    for row in rows(from, DOING, include_str!("../sql/organisation_directory.sql"), &[]).await? {
        let (id, platform): (TenantId, bool) = (TenantId(column(&row, 0)?), column(&row, 2)?);
        if platform {
            into.platform = Some(id);
            id.hash(print);
            continue;
        }
        let limit = |at| column::<Option<i32>>(&row, at).map(|found| found.and_then(|limit| u32::try_from(limit).ok()));
        let entry = OrganisationEntry {
            name: column(&row, 1)?,
            suspended: column(&row, 3)?,
            intake_per_second: limit(4)?,
            concurrency_limit: limit(5)?,
        };
        (id, &entry).hash(print);
        into.organisations.insert(id, entry);
    }
    Ok(())
}

async fn read_businesses(from: &Transaction<'_>, into: &mut Directory, print: &mut impl Hasher) -> Result<(), PostgresError> {
    for row in rows(from, DOING, include_str!("../sql/all_businesses.sql"), &[]).await? {
        let id = BusinessId(column(&row, 1)?);
        let entry = BusinessEntry {
            tenant: TenantId(column(&row, 0)?),
            name: column(&row, 2)?,
            zone: column(&row, 3)?,
            day_start_minute: u16::try_from(column::<i32>(&row, 4)?).unwrap_or_default(),
            concurrency_limit: column::<Option<i32>>(&row, 5)?.and_then(|limit| u32::try_from(limit).ok()),
            targets: column(&row, 6)?,
        };
        (
            id,
            entry.tenant,
            &entry.name,
            &entry.zone,
            entry.day_start_minute,
            entry.concurrency_limit,
        )
            .hash(print);
        entry.targets.to_string().hash(print);
        into.businesses.insert(id, entry);
    }
    Ok(())
}

async fn read_agents(from: &Transaction<'_>, into: &mut Directory, print: &mut impl Hasher) -> Result<(), PostgresError> {
    for row in rows(from, DOING, include_str!("../sql/all_agents.sql"), &[]).await? {
        let (tenant, agent): (TenantId, String) = (TenantId(column(&row, 0)?), column(&row, 1)?);
        let business = BusinessId(column(&row, 2)?);
        (tenant, &agent, business).hash(print);
        into.agents.insert((tenant, agent), business);
    }
    Ok(())
}
