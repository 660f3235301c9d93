//! Where somebody is signed in, and ending that.

use deadpool_postgres::Transaction;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{Config, column, must_exist, rows};
use crate::postgres::PostgresError;
use crate::postgres::row::{Hash32, NewSession};

/// A living session, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionListed {
    /// Names it, opens nothing.
    pub id: Uuid,
    /// It is the one that asks.
    pub current: bool,
    /// When it began.
    pub created_at: Millis,
    /// When it was used last, to the minute.
    pub seen_at: Millis,
    /// Address it was begun from.
    pub source: String,
    /// What the browser or program called itself.
    pub device: String,
    /// Of a program that lives by refresh tokens; false: a browser's.
    pub api: bool,
}

impl Config {
    /// Living sessions of a user, the one used last first.
    pub async fn sessions_of(
        &self,
        tenant: TenantId,
        user: UserId,
        now: Millis,
        current: &Hash32,
    ) -> Result<Vec<SessionListed>, PostgresError> {
        let sql = include_str!("../sql/sessions_of.sql");
        let found = self
            .ask_within(tenant, "list sessions", sql, &[&user.0, &now.0, &current.as_slice()])
            .await?;
        let read = |row| {
            Ok(SessionListed {
                id: column(row, 0)?,
                current: column(row, 1)?,
                created_at: Millis(column(row, 2)?),
                seen_at: Millis(column(row, 3)?),
                source: column(row, 4)?,
                device: column(row, 5)?,
                api: column(row, 6)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Ends one session of a user.
    pub async fn end_one_session(&self, tenant: TenantId, by: &By, user: UserId, id: Uuid) -> Result<(), PostgresError> {
        let doing = "end a session";
        let deed = Deed::plain("session.end", "user", user).after(&serde_json::json!({ "session": id }));
        let sql = include_str!("../sql/end_one_session.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&user.0, &id]).await?, doing)
    }

    /// Ends every session of a user but one, and what waits for a second step; says how many sessions there were.
    pub async fn end_other_sessions(&self, tenant: TenantId, by: &By, user: UserId, kept: &Hash32) -> Result<u64, PostgresError> {
        let deed = Deed::plain("session.end_others", "user", user);
        let sql = include_str!("../sql/end_other_sessions.sql");
        let parameters: super::Parameters<'_> = &[&user.0, &kept.as_slice()];
        let ended = self.change(tenant, (by, &deed), "end sessions", sql, parameters).await?;
        Ok(ended.len() as u64)
    }
}

/// What a session lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A browser's cookie.
    Browser,
    /// The same, of somebody who came from the provider of their organisation.
    Provider,
    /// Refresh tokens of a program.
    Api,
}

/// Adds a session; gives its id.
pub(super) async fn insert(transaction: &Transaction<'_>, tenant: TenantId, new: &NewSession, kind: Kind) -> Result<Uuid, PostgresError> {
    let doing = "create a session";
    let by_provider = kind == Kind::Provider;
    let kind = match kind {
        Kind::Browser | Kind::Provider => "browser",
        Kind::Api => "api",
    };
    let hash = new.token_hash.as_slice();
    let sql = include_str!("../sql/create_session.sql");
    let made = rows(
        transaction,
        doing,
        sql,
        &[
            &tenant.0,
            &hash,
            &new.user.0,
            &new.created_at.0,
            &new.expires_at.0,
            &new.idle_ms,
            &new.source,
            &new.device,
            &kind,
            &by_provider,
        ],
    )
    .await?;
    must_exist(&made, doing)?;
    column(&made[0], 0)
}
