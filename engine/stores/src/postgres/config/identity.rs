//! Users, sessions and API keys.

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;
use trunkline_core::id::{KeyId, TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{Config, column, must_exist};
use crate::postgres::PostgresError;
use crate::postgres::row::{ApiKeyListed, ApiKeyRow, Hash32, NewApiKey, NewSession, NewUser, Role, SessionRow, UserRow};

impl Config {
    /// The user with this address, whatever its case: asked at sign-in, before a tenant is known.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, PostgresError> {
        let found = self.ask("find a user", include_str!("../sql/user_by_email.sql"), &[&email]).await?;
        found.first().map(read_user).transpose()
    }

    /// Users of a tenant, by address.
    pub async fn users(&self, tenant: TenantId) -> Result<Vec<UserRow>, PostgresError> {
        let found = self.ask_within(tenant, "list users", include_str!("../sql/users.sql"), &[]).await?;
        found.iter().map(read_user).collect()
    }

    /// Makes a user.
    pub async fn create_user(&self, tenant: TenantId, new: &NewUser) -> Result<UserId, PostgresError> {
        let id = UserId(Uuid::now_v7());
        let email = new.email.trim().to_lowercase();
        let sql = include_str!("../sql/create_user.sql");
        let hash = new.password_hash.expose_secret();
        self.ask_within(
            tenant,
            "create a user",
            sql,
            &[&tenant.0, &id.0, &email, &new.name, &new.role.as_str(), &hash],
        )
        .await?;
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

    /// Notes that a user has signed in.
    pub async fn create_session(&self, tenant: TenantId, new: &NewSession) -> Result<(), PostgresError> {
        let sql = include_str!("../sql/create_session.sql");
        let hash = new.token_hash.as_slice();
        self.ask_within(
            tenant,
            "create a session",
            sql,
            &[&tenant.0, &hash, &new.user.0, &new.created_at.0, &new.expires_at.0, &new.idle_ms],
        )
        .await?;
        Ok(())
    }

    /// The living session with this token, which counts as seen now.
    pub async fn session_by_token(&self, token_hash: &Hash32, now: Millis) -> Result<Option<SessionRow>, PostgresError> {
        let sql = include_str!("../sql/session_by_token.sql");
        let found = self.ask("find a session", sql, &[&token_hash.as_slice(), &now.0]).await?;
        found.first().map(read_session).transpose()
    }

    /// Ends a session; ending one that is gone is no error.
    pub async fn end_session(&self, token_hash: &Hash32) -> Result<(), PostgresError> {
        self.ask("end a session", include_str!("../sql/end_session.sql"), &[&token_hash.as_slice()])
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
    pub async fn create_api_key(&self, tenant: TenantId, new: &NewApiKey) -> Result<KeyId, PostgresError> {
        let id = KeyId(Uuid::now_v7());
        let (hash, by) = (new.key_hash.as_slice(), new.created_by.map(|user| user.0));
        let sql = include_str!("../sql/create_api_key.sql");
        self.ask_within(
            tenant,
            "create an API key",
            sql,
            &[&tenant.0, &id.0, &new.name, &hash, &new.last_four, &new.scopes, &by],
        )
        .await?;
        Ok(id)
    }

    /// The key with this hash, if it is still accepted: asked before a tenant is known.
    pub async fn api_key_by_hash(&self, key_hash: &Hash32) -> Result<Option<ApiKeyRow>, PostgresError> {
        let found = self
            .ask(
                "find an API key",
                include_str!("../sql/api_key_by_hash.sql"),
                &[&key_hash.as_slice()],
            )
            .await?;
        let read = |row| {
            Ok(ApiKeyRow {
                tenant: TenantId(column(row, 0)?),
                id: KeyId(column(row, 1)?),
                name: column(row, 2)?,
                scopes: column(row, 3)?,
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
                revoked: column(row, 4)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Stops accepting a key.
    pub async fn revoke_api_key(&self, tenant: TenantId, id: KeyId) -> Result<(), PostgresError> {
        let doing = "revoke an API key";
        must_exist(
            &self
                .ask_within(tenant, doing, include_str!("../sql/revoke_api_key.sql"), &[&id.0])
                .await?,
            doing,
        )
    }
}

fn read_role(row: &Row, at: usize) -> Result<Role, PostgresError> {
    column::<&str>(row, at)?
        .parse()
        .map_err(|_| PostgresError::Misconfigured("a user has a role that this version does not know; upgrade Trunkline".into()))
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
    })
}
