//! Sessions: whose one is, where somebody is signed in, other secrets for the same session, and its end.

use deadpool_postgres::Transaction;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::identity::read_session;
use super::{Config, column, must_exist, rows};
use crate::postgres::PostgresError;
use crate::postgres::row::{Hash32, NewSession, SessionRow};

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

/// A living session of a browser.
#[derive(Debug, Clone)]
pub struct SessionFound {
    /// Whose, and what they may do.
    pub row: SessionRow,
    /// The secret that was shown.
    pub secret: Secret,
}

/// How the secret of a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// It goes on.
    Holds,
    /// The person may do other things than when it was given out, or has proved more: the next one is due ([`Config::renew_session`]).
    Due,
    /// It was followed a moment ago by one that this makes, together with it.
    Followed([u8; 32]),
}

/// The next secret of a session.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// Hash of the present one.
    pub before: Hash32,
    /// Hash of the next one.
    pub after: Hash32,
    /// What made it.
    pub seed: [u8; 32],
    /// The present one is taken until then, for requests that are under way.
    pub until: Millis,
}

impl Config {
    /// The living session with this token, which counts as seen now. One that has run out is gone for good.
    pub async fn session_access(&self, token_hash: &Hash32, now: Millis) -> Result<Option<SessionFound>, PostgresError> {
        let sql = include_str!("../sql/session_access.sql");
        let found = self.ask("find a session", sql, &[&token_hash.as_slice(), &now.0]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let malformed = |_| PostgresError::Misconfigured("the seed of a session has not 32 bytes".into());
        let secret = match (column::<bool>(row, 10)?, column::<Option<&[u8]>>(row, 11)?) {
            (_, Some(seed)) => Secret::Followed(seed.try_into().map_err(malformed)?),
            (true, None) => Secret::Due,
            (false, None) => Secret::Holds,
        };
        Ok(Some(SessionFound {
            row: read_session(row)?,
            secret,
        }))
    }

    /// Gives a session whose next secret is due that secret; false: another request did so first.
    pub async fn renew_session(&self, renewal: &Renewal, now: Millis) -> Result<bool, PostgresError> {
        let sql = include_str!("../sql/renew_session.sql");
        let (before, after, seed) = (renewal.before.as_slice(), renewal.after.as_slice(), renewal.seed.as_slice());
        let found = self
            .ask("renew a session", sql, &[&before, &after, &seed, &now.0, &renewal.until.0])
            .await?;
        found.first().map_or(Ok(false), |row| column(row, 0))
    }

    /// Deletes sessions that have run out; says how many.
    pub async fn forget_dead_sessions(&self, now: Millis) -> Result<u64, PostgresError> {
        let found = self
            .ask("forget dead sessions", include_str!("../sql/forget_dead_sessions.sql"), &[&now.0])
            .await?;
        let count: i64 = found.first().map(|row| column(row, 0)).transpose()?.unwrap_or_default();
        Ok(count.unsigned_abs())
    }

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

/// From their next request on, sessions of a user, or only `one`, have another secret: for whoever may do other things from now on (S-113).
pub(super) async fn renew(transaction: &Transaction<'_>, user: UserId, one: Option<&Hash32>) -> Result<(), PostgresError> {
    let sql = include_str!("../sql/renew_sessions_of.sql");
    let one = one.map(|hash| hash.as_slice());
    rows(transaction, "renew sessions", sql, &[&user.0, &one]).await.map(drop)
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
