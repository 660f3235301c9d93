//! Sets the tenant: the one place where a transaction learns whose rows it may see.

use deadpool_postgres::{Object, Transaction};
use trunkline_core::id::TenantId;

use super::PostgresError;

const SET_TENANT: &str = include_str!("sql/set_tenant.sql");

/// Begins a transaction that sees the rows of `tenant` and no others. The setting ends with the transaction, so the next
/// borrower of the connection inherits nothing (PG-02).
pub(super) async fn begin<'a>(client: &'a mut Object, tenant: TenantId, doing: &'static str) -> Result<Transaction<'a>, PostgresError> {
    let transaction = client
        .transaction()
        .await
        .map_err(|error| PostgresError::from_driver(doing, &error))?;
    enter(&transaction, tenant, doing).await?;
    Ok(transaction)
}

/// From here on the transaction sees the rows of `tenant` and no others: for the effects group, whose batches hold events of many.
pub(super) async fn enter(transaction: &Transaction<'_>, tenant: TenantId, doing: &'static str) -> Result<(), PostgresError> {
    let failed = |error: tokio_postgres::Error| PostgresError::from_driver(doing, &error);
    let statement = transaction.prepare_cached(SET_TENANT).await.map_err(failed)?;
    transaction.execute(&statement, &[&tenant.0.to_string()]).await.map_err(failed)?;
    Ok(())
}

/// Makes the changes of a transaction last.
pub(super) async fn commit(transaction: Transaction<'_>, doing: &'static str) -> Result<(), PostgresError> {
    transaction
        .commit()
        .await
        .map_err(|error| PostgresError::from_driver(doing, &error))
}
