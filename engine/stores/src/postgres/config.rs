//! The configuration store: every question takes the tenant, but for those asked before a tenant can be known.

mod audit;
mod business;
pub mod deeds;
mod grants;
pub mod idempotency;
mod identity;
pub mod invitations;
mod keys;
mod notices;
pub mod openings;
mod organisation;
mod people;
mod platform;
pub mod second_factor;
pub mod secrets;
pub mod sessions;
pub mod single_sign_on;
pub mod token_keys;
pub mod tokens;
pub mod tv_links;
pub mod webhooks;
mod whole;
pub mod workspace;

use std::sync::Arc;

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Database, PostgresError};
use crate::keyring::Keyring;

/// A handle over the pool; cheap to clone.
#[derive(Clone)]
pub struct Config {
    database: Database,
    keyring: Arc<Keyring>,
}

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Config {
    /// The configuration kept in `database`, whose schema is up to date, with its secrets under the keys of `keyring`.
    pub fn new(database: Database, keyring: Arc<Keyring>) -> Self {
        Self { database, keyring }
    }

    /// The connections it works with.
    pub fn database(&self) -> &Database {
        &self.database
    }

    pub(super) async fn client(&self, doing: &'static str) -> Result<Object, PostgresError> {
        self.database.client(doing).await
    }

    /// Asks one question that belongs to no tenant.
    pub(super) async fn ask(&self, doing: &'static str, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, PostgresError> {
        let client = self.client(doing).await?;
        rows(&client, doing, sql, parameters).await
    }

    /// Asks one question, or makes one change, within a tenant.
    pub(super) async fn ask_within(
        &self,
        tenant: trunkline_core::id::TenantId,
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, PostgresError> {
        let mut client = self.client(doing).await?;
        let transaction = super::tenant::begin(&mut client, tenant, doing).await?;
        let found = rows(&transaction, doing, sql, parameters).await?;
        super::tenant::commit(transaction, doing).await?;
        Ok(found)
    }
}

pub(super) async fn rows<C: GenericClient + Sync>(
    client: &C,
    doing: &'static str,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, PostgresError> {
    let failed = |error: tokio_postgres::Error| PostgresError::from_driver(doing, &error);
    let statement = client.prepare_cached(sql).await.map_err(failed)?;
    client.query(&statement, parameters).await.map_err(failed)
}

/// Reads one column; a column of another type is a mistake in our own SQL and is reported, not a panic.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, PostgresError> {
    row.try_get(at).map_err(|error| PostgresError::from_driver("read a column", &error))
}

/// `UPDATE` and `DELETE` that name their row: nothing touched means it is not there.
pub(super) fn must_exist(rows: &[Row], doing: &'static str) -> Result<(), PostgresError> {
    if rows.is_empty() {
        Err(PostgresError::Missing { doing })
    } else {
        Ok(())
    }
}
