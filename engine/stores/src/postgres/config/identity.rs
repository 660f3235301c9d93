//! Users as they come in, and their sessions.

use deadpool_postgres::Transaction;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;
use trunkline_core::access::Role;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::grants::{put_grants, read_grants, shown};
use super::{Config, audit, column, rows, sessions};
use crate::postgres::row::{Hash32, NewSession, NewUser, SessionRow, UserRow};
use crate::postgres::{PostgresError, tenant};

impl Config {
    /// The user with this address, whatever its case: asked at sign-in, before a tenant is known.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, PostgresError> {
        let found = self.ask("find a user", include_str!("../sql/user_by_email.sql"), &[&email]).await?;
        found.first().map(read_user).transpose()
    }

    /// Makes a user.
    pub async fn create_user(&self, tenant: TenantId, by: &By, new: &NewUser) -> Result<UserId, PostgresError> {
        let doing = "create a user";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let id = insert_user(&transaction, tenant, by, new).await?;
        tenant::commit(transaction, doing).await?;
        Ok(id)
    }

    /// Lets a user in.
    pub async fn create_session(&self, tenant: TenantId, by: &By, new: &NewSession) -> Result<(), PostgresError> {
        let doing = "create a session";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        sessions::insert(&transaction, tenant, new, sessions::Kind::Browser).await?;
        audit::append(&transaction, tenant, by, &Deed::plain("session.begin", "user", new.user)).await?;
        tenant::commit(transaction, doing).await
    }

    /// Ends a session; ending one that is gone is no error.
    pub async fn end_session(&self, tenant: TenantId, by: &By, user: UserId, token_hash: &Hash32) -> Result<(), PostgresError> {
        let deed = Deed::plain("session.end", "user", user);
        let sql = include_str!("../sql/end_session.sql");
        self.change(tenant, (by, &deed), "end a session", sql, &[&token_hash.as_slice()])
            .await
            .map(drop)
    }
}

/// Makes a user within a transaction.
pub(super) async fn insert_user(transaction: &Transaction<'_>, tenant: TenantId, by: &By, new: &NewUser) -> Result<UserId, PostgresError> {
    let id = UserId(Uuid::now_v7());
    let email = new.email.trim().to_lowercase();
    let (hash, role) = (new.password_hash.expose_secret(), new.role.map(Role::as_str));
    let sql = include_str!("../sql/create_user.sql");
    rows(
        transaction,
        "create a user",
        sql,
        &[&tenant.0, &id.0, &email, &new.name, &role, &hash],
    )
    .await?;
    put_grants(transaction, tenant, id, &new.grants).await?;
    let deed = Deed::plain("person.create", "user", id).after(&shown(new.role, &new.grants));
    audit::append(transaction, tenant, by, &deed).await?;
    Ok(id)
}

/// The word of a role; `None`: no role everywhere.
pub(super) fn read_role(row: &Row, at: usize) -> Result<Option<Role>, PostgresError> {
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

pub(super) fn read_session(row: &Row) -> Result<SessionRow, PostgresError> {
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
