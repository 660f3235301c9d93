//! Reads the configuration of the whole platform at one moment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use deadpool_postgres::Transaction;
use secrecy::SecretString;
use tokio_postgres::IsolationLevel;
use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};

use super::{Config, column, rows};
use crate::postgres::PostgresError;
use crate::postgres::directory::{BusinessEntry, Directory, WorkspaceEntry};

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
        read_businesses(&transaction, &mut directory, &mut print).await?;
        read_workspaces(&transaction, &mut directory, &mut print).await?;
        read_agents(&transaction, &mut directory, &mut print).await?;
        directory.version = print.finish();
        Ok(directory)
    }
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

async fn read_workspaces(from: &Transaction<'_>, into: &mut Directory, print: &mut impl Hasher) -> Result<(), PostgresError> {
    for row in rows(from, DOING, include_str!("../sql/all_workspaces.sql"), &[]).await? {
        let (token, keys): (String, Vec<String>) = (column(&row, 7)?, column(&row, 8)?);
        let api_key: Option<String> = column(&row, 9)?;
        let unassigned = BusinessId(column(&row, 4)?);
        (&token, &keys, &api_key, unassigned).hash(print);
        let entry = WorkspaceEntry {
            tenant: TenantId(column(&row, 0)?),
            workspace: WorkspaceId(column(&row, 1)?),
            name: column(&row, 2)?,
            enabled: column(&row, 3)?,
            signing_keys: keys.into_iter().map(SecretString::from).collect(),
            allowed_sources: column(&row, 5)?,
            rate_per_second: column::<Option<i32>>(&row, 6)?.and_then(|rate| u32::try_from(rate).ok()),
            api_key: api_key.map(SecretString::from),
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

async fn read_agents(from: &Transaction<'_>, into: &mut Directory, print: &mut impl Hasher) -> Result<(), PostgresError> {
    for row in rows(from, DOING, include_str!("../sql/all_agents.sql"), &[]).await? {
        let (tenant, agent): (TenantId, String) = (TenantId(column(&row, 0)?), column(&row, 1)?);
        let business = BusinessId(column(&row, 2)?);
        (tenant, &agent, business).hash(print);
        into.agents.insert((tenant, agent), business);
    }
    Ok(())
}
