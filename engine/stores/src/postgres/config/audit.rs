//! The record of who did what: written in the transaction of the change itself, so that there is never one without the other.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use trunkline_core::audit::{Broken, By, Deed, Entry, Walk};
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;

use super::{Config, Parameters, column, must_exist, rows};
use crate::postgres::{PostgresError, tenant};

/// Entries read at once while a chain is verified: a few hundred kilobytes.
const VERIFIED_AT_ONCE: i64 = 500;

impl Config {
    /// Notes what changes nothing in Postgres: that something was seen, or that somebody came in.
    pub async fn note_deed(&self, tenant: TenantId, by: &By, deed: &Deed) -> Result<(), PostgresError> {
        let doing = "note a deed";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        append(&transaction, tenant, by, deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// Walks the whole chain of a tenant: how many entries it has, or where it does not hold.
    pub async fn verify_deeds(&self, tenant: TenantId) -> Result<Result<i64, Broken>, PostgresError> {
        let doing = "verify the record of deeds";
        // The end first: what is written meanwhile comes after it.
        let head = self.ask_within(tenant, doing, include_str!("../sql/audit_end.sql"), &[]).await?;
        let Some(head) = head.first() else { return Ok(Ok(0)) };
        let (written, hash) = (column::<i64>(head, 0)?, read_hash(head, 1)?);
        let (mut walk, mut last) = (Walk::default(), 0_i64);
        loop {
            let sql = include_str!("../sql/audit_after.sql");
            let found = self.ask_within(tenant, doing, sql, &[&last, &written, &VERIFIED_AT_ONCE]).await?;
            if found.is_empty() {
                return Ok(walk.end(written, &hash));
            }
            for row in &found {
                let entry = read_entry(tenant, row)?;
                last = entry.number;
                if let Err(broken) = walk.step(&entry, &read_hash(row, 12)?) {
                    return Ok(Err(broken));
                }
            }
        }
    }

    /// Makes one change together with its entry. A question that touches no row leaves no entry.
    pub(in crate::postgres) async fn change(
        &self,
        tenant: TenantId,
        (by, deed): (&By, &Deed),
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, PostgresError> {
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let statement = transaction
            .prepare_cached(sql)
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        let returns = !statement.columns().is_empty();
        let found = rows(&transaction, doing, sql, parameters).await?;
        if returns && found.is_empty() {
            return Ok(found);
        }
        append(&transaction, tenant, by, deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(found)
    }
}

/// Adds an entry to the chain of `tenant`. Until the transaction ends, the next one of this tenant waits.
pub(super) async fn append(transaction: &Transaction<'_>, tenant: TenantId, by: &By, deed: &Deed) -> Result<(), PostgresError> {
    let doing = "note a deed";
    let head = rows(transaction, doing, include_str!("../sql/audit_head.sql"), &[&tenant.0]).await?;
    must_exist(&head, doing)?;
    let (written, at): (i64, i64) = (column(&head[0], 0)?, column(&head[0], 2)?);
    let before = read_hash(&head[0], 1)?;
    let entry = Entry::of(tenant, written + 1, Millis(at), by, deed);
    let hash = entry.hash(&before);
    rows(
        transaction,
        doing,
        include_str!("../sql/audit_append.sql"),
        &[
            &tenant.0,
            &entry.number,
            &entry.at.0,
            &entry.actor,
            &entry.actor_id,
            &entry.actor_name,
            &entry.source,
            &entry.request,
            &entry.action,
            &entry.object,
            &entry.object_id,
            &entry.before,
            &entry.after,
            &hash.as_slice(),
        ],
    )
    .await
    .map(drop)
}

pub(super) fn read_entry(tenant: TenantId, row: &Row) -> Result<Entry, PostgresError> {
    Ok(Entry {
        tenant,
        number: column(row, 0)?,
        at: Millis(column(row, 1)?),
        actor: column(row, 2)?,
        actor_id: column(row, 3)?,
        actor_name: column(row, 4)?,
        source: column(row, 5)?,
        request: column(row, 6)?,
        action: column(row, 7)?,
        object: column(row, 8)?,
        object_id: column(row, 9)?,
        before: column(row, 10)?,
        after: column(row, 11)?,
    })
}

pub(super) fn read_hash(row: &Row, at: usize) -> Result<[u8; 32], PostgresError> {
    let stored: &[u8] = column(row, at)?;
    stored
        .try_into()
        .map_err(|_| PostgresError::Misconfigured("the hash of an audit entry has not 32 bytes".into()))
}
