//! API keys.

use tokio_postgres::Row;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, KeyId, TenantId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{Config, audit, column, must_exist, rows};
use crate::postgres::row::{ApiKeyListed, ApiKeyRow, Hash32, NewApiKey, Span};
use crate::postgres::{PostgresError, tenant};

/// Why another key is refused.
const NO_ROOM: &str = "your organisation has as many API keys as it may have; revoke one first";

impl Config {
    /// Makes an API key; only its hash and last four characters are kept.
    pub async fn create_api_key(&self, tenant: TenantId, by: &By, new: &NewApiKey) -> Result<KeyId, PostgresError> {
        let id = KeyId(Uuid::now_v7());
        let (hash, creator) = (new.key_hash.as_slice(), new.created_by.map(|user| user.0));
        let businesses: Vec<Uuid> = new.businesses.iter().map(|business| business.0).collect();
        let expires = new.expires_at.map(|at| at.0);
        let sql = include_str!("../sql/create_api_key.sql");
        let deed = Deed::plain("key.create", "api_key", id).after(&serde_json::json!({
            "name": new.name, "scopes": new.scopes, "businesses": new.businesses, "expires_ms": expires,
        }));
        let doing = "create an API key";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let room = rows(&transaction, doing, include_str!("../sql/api_keys_room.sql"), &[]).await?;
        if !room.first().map_or(Ok(true), |row| column::<bool>(row, 0))? {
            return Err(PostgresError::Conflict { doing, why: NO_ROOM });
        }
        rows(
            &transaction,
            doing,
            sql,
            &[
                &tenant.0,
                &id.0,
                &new.name,
                &hash,
                &new.last_four,
                &new.scopes,
                &businesses,
                &expires,
                &creator,
            ],
        )
        .await?;
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(id)
    }

    /// The key with this hash, if it is still accepted, which counts as used now: asked before a tenant is known.
    pub async fn api_key_access(&self, key_hash: &Hash32, now: Millis) -> Result<Option<ApiKeyRow>, PostgresError> {
        let sql = include_str!("../sql/api_key_access.sql");
        let found = self.ask("find an API key", sql, &[&key_hash.as_slice(), &now.0]).await?;
        let read = |row| {
            Ok(ApiKeyRow {
                tenant: TenantId(column(row, 0)?),
                id: KeyId(column(row, 1)?),
                name: column(row, 2)?,
                scopes: column(row, 3)?,
                businesses: read_businesses(row, 4)?,
            })
        };
        found.first().map(read).transpose()
    }

    /// A page of the API keys of a tenant, oldest first; one more than asked for says that there are more.
    pub async fn api_keys(&self, tenant: TenantId, span: Span) -> Result<Vec<ApiKeyListed>, PostgresError> {
        self.list_api_keys(tenant, None, span).await
    }

    /// One API key.
    pub async fn api_key(&self, tenant: TenantId, id: KeyId) -> Result<Option<ApiKeyListed>, PostgresError> {
        let found = self.list_api_keys(tenant, Some(id), Span::first(1)).await?;
        Ok(found.into_iter().next())
    }

    async fn list_api_keys(&self, tenant: TenantId, id: Option<KeyId>, span: Span) -> Result<Vec<ApiKeyListed>, PostgresError> {
        let id = id.map(|id| id.0);
        let sql = include_str!("../sql/api_keys.sql");
        let found = self
            .ask_within(tenant, "list API keys", sql, &[&id, &span.after, &span.before, &span.most()])
            .await?;
        let read = |row| {
            Ok(ApiKeyListed {
                id: KeyId(column(row, 0)?),
                name: column(row, 1)?,
                last_four: column(row, 2)?,
                scopes: column(row, 3)?,
                businesses: read_businesses(row, 4)?,
                revoked_at: column::<Option<i64>>(row, 5)?.map(Millis),
                expires_at: column::<Option<i64>>(row, 6)?.map(Millis),
                last_used_at: column::<Option<i64>>(row, 7)?.map(Millis),
                created_at: Millis(column(row, 8)?),
                created_by: column(row, 9)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Stops accepting a key.
    pub async fn revoke_api_key(&self, tenant: TenantId, by: &By, id: KeyId) -> Result<(), PostgresError> {
        let doing = "revoke an API key";
        let deed = Deed::plain("key.revoke", "api_key", id);
        let sql = include_str!("../sql/revoke_api_key.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&id.0]).await?, doing)
    }
}

fn read_businesses(row: &Row, at: usize) -> Result<Vec<BusinessId>, PostgresError> {
    Ok(column::<Vec<Uuid>>(row, at)?.into_iter().map(BusinessId).collect())
}
