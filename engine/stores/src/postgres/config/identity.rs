//! Users, sessions and API keys.

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;
use trunkline_core::access::Role;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, KeyId, TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::grants::{put_grants, read_grants, shown};
use super::{Config, audit, column, must_exist, rows, sessions};
use crate::postgres::row::{ApiKeyListed, ApiKeyRow, Hash32, NewApiKey, NewSession, NewUser, SessionRow, UserListed, UserRow};
use crate::postgres::{PostgresError, tenant};

impl Config {
    /// The user with this address, whatever its case: asked at sign-in, before a tenant is known.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, PostgresError> {
        let found = self.ask("find a user", include_str!("../sql/user_by_email.sql"), &[&email]).await?;
        found.first().map(read_user).transpose()
    }

    /// Users of a tenant, by address.
    pub async fn users(&self, tenant: TenantId) -> Result<Vec<UserListed>, PostgresError> {
        let found = self.ask_within(tenant, "list users", include_str!("../sql/users.sql"), &[]).await?;
        let read = |row| {
            let user = read_user(row)?;
            Ok(UserListed {
                id: user.id,
                email: user.email,
                name: user.name,
                role: user.role,
                grants: read_grants(row, 7)?,
                disabled: user.disabled,
            })
        };
        found.iter().map(read).collect()
    }

    /// Makes a user.
    pub async fn create_user(&self, tenant: TenantId, by: &By, new: &NewUser) -> Result<UserId, PostgresError> {
        let doing = "create a user";
        let id = UserId(Uuid::now_v7());
        let email = new.email.trim().to_lowercase();
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let (hash, role) = (new.password_hash.expose_secret(), new.role.map(Role::as_str));
        let sql = include_str!("../sql/create_user.sql");
        rows(&transaction, doing, sql, &[&tenant.0, &id.0, &email, &new.name, &role, &hash]).await?;
        put_grants(&transaction, tenant, id, &new.grants).await?;
        let deed = Deed::plain("person.create", "user", id).after(&shown(new.role, &new.grants));
        audit::append(&transaction, tenant, by, &deed).await?;
        transaction
            .commit()
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        Ok(id)
    }

    /// Gives a user another password and ends the user's sessions.
    pub async fn set_password(&self, tenant: TenantId, user: UserId, hash: &SecretString) -> Result<(), PostgresError> {
        let doing = "set a password";
        let sql = include_str!("../sql/set_password.sql");
        must_exist(
            &self.ask_within(tenant, doing, sql, &[&user.0, &hash.expose_secret()]).await?,
            doing,
        )
    }

    /// Lets a user in.
    pub async fn create_session(&self, tenant: TenantId, by: &By, new: &NewSession) -> Result<(), PostgresError> {
        let doing = "create a session";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        sessions::insert(&transaction, tenant, new).await?;
        audit::append(&transaction, tenant, by, &Deed::plain("session.begin", "user", new.user)).await?;
        transaction
            .commit()
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))
    }

    /// The living session with this token, which counts as seen now.
    pub async fn session_access(&self, token_hash: &Hash32, now: Millis) -> Result<Option<SessionRow>, PostgresError> {
        let sql = include_str!("../sql/session_access.sql");
        let found = self.ask("find a session", sql, &[&token_hash.as_slice(), &now.0]).await?;
        found.first().map(read_session).transpose()
    }

    /// Ends a session; ending one that is gone is no error.
    pub async fn end_session(&self, tenant: TenantId, by: &By, user: UserId, token_hash: &Hash32) -> Result<(), PostgresError> {
        let deed = Deed::plain("session.end", "user", user);
        let sql = include_str!("../sql/end_session.sql");
        self.change(tenant, (by, &deed), "end a session", sql, &[&token_hash.as_slice()])
            .await
            .map(drop)
    }

    /// Ends every session of a user; says how many there were.
    pub async fn end_sessions_of(&self, tenant: TenantId, user: UserId) -> Result<u64, PostgresError> {
        let found = self
            .ask_within(tenant, "end sessions", include_str!("../sql/end_sessions_of.sql"), &[&user.0])
            .await?;
        Ok(found.len() as u64)
    }

    /// Deletes sessions that have run out; says how many.
    pub async fn forget_dead_sessions(&self, now: Millis) -> Result<u64, PostgresError> {
        let found = self
            .ask("forget dead sessions", include_str!("../sql/forget_dead_sessions.sql"), &[&now.0])
            .await?;
        let count: i64 = found.first().map(|row| column(row, 0)).transpose()?.unwrap_or_default();
        Ok(count.unsigned_abs())
    }

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
        self.change(
            tenant,
            (by, &deed),
            "create an API key",
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

    /// API keys of a tenant, newest last.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKeyListed>, PostgresError> {
        let found = self
            .ask_within(tenant, "list API keys", include_str!("../sql/api_keys.sql"), &[])
            .await?;
        let read = |row| {
            Ok(ApiKeyListed {
                id: KeyId(column(row, 0)?),
                name: column(row, 1)?,
                last_four: column(row, 2)?,
                scopes: column(row, 3)?,
                businesses: read_businesses(row, 4)?,
                revoked: column(row, 5)?,
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

/// The word of a role; `None`: no role everywhere.
fn read_role(row: &Row, at: usize) -> Result<Option<Role>, PostgresError> {
    column::<Option<&str>>(row, at)?.map(super::grants::role).transpose()
}

fn read_user(row: &Row) -> Result<UserRow, PostgresError> {
    Ok(UserRow {
        tenant: TenantId(column(row, 0)?),
        id: UserId(column(row, 1)?),
        email: column(row, 2)?,
        name: column(row, 3)?,
        role: read_role(row, 4)?,
        password_hash: SecretString::from(column::<String>(row, 5)?),
        disabled: column(row, 6)?,
    })
}

fn read_session(row: &Row) -> Result<SessionRow, PostgresError> {
    Ok(SessionRow {
        tenant: TenantId(column(row, 0)?),
        user: UserId(column(row, 1)?),
        email: column(row, 2)?,
        name: column(row, 3)?,
        role: read_role(row, 4)?,
        created_at: Millis(column(row, 5)?),
        expires_at: Millis(column(row, 6)?),
        grants: read_grants(row, 7)?,
        has_factor: column(row, 8)?,
        needs_factor: column(row, 9)?,
    })
}
