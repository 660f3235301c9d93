//! Sessions of programs that act for a person: each lives by refresh tokens, of which every one is taken once.

use deadpool_postgres::Transaction;
use serde_json::json;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::identity::read_session;
use super::invitations::{Matter, post};
use super::second_factor::{Proof, Proved};
use super::{Config, audit, column, rows, sessions};
use crate::postgres::row::{Hash32, NewSession, SessionRow};
use crate::postgres::{PostgresError, tenant};

/// A refresh token that comes again within this time gets the same successor, if that was not used yet: the answer may have been lost, and
/// two tabs may ask at once (S-111).
pub const GRACE_MS: i64 = 10_000;

/// A living session of the API.
#[derive(Debug, Clone)]
pub struct ApiSession {
    /// Its id.
    pub id: Uuid,
    /// Whose, and what they may do.
    pub row: SessionRow,
    /// What it is listed under; opens nothing.
    pub token_hash: Hash32,
    /// How often the person's rights were changed.
    pub rights: i32,
}

/// What became of a sign-in by the API.
#[derive(Debug)]
pub enum Begun {
    /// It lives.
    Session(Box<ApiSession>),
    /// The organisation demands a second factor of this person, and there is none.
    MustEnrol,
    /// A code is needed, and none was shown.
    NeedsCode,
    /// The code was not taken.
    Refused(Proved),
}

/// What became of a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// It was taken, or came again within [`GRACE_MS`]: the session, and what makes the successor of the token.
    Session(Box<ApiSession>, [u8; 32]),
    /// It was used before: the session has ended, since a copy of the token is in other hands.
    Reused {
        /// Whose.
        tenant: TenantId,
    },
    /// There is no such token, or its session has ended.
    Unknown,
}

/// A refresh token that is shown.
pub struct Shown<'a> {
    /// Its hash.
    pub hash: &'a Hash32,
    /// 32 random bytes, in case it is taken.
    pub seed: [u8; 32],
    /// The hash of its successor by a seed.
    pub successor: &'a (dyn Fn(&[u8; 32]) -> Hash32 + Sync),
    /// The person is told by mail when it came a second time; false where no mail goes out.
    pub mail: bool,
}

impl Config {
    /// Begins a session of the API for somebody whose password was right; with a second factor in use, `proof` decides.
    pub async fn begin_api_session(
        &self,
        tenant: TenantId,
        by: &By,
        new: &NewSession,
        proof: Option<&Proof<'_>>,
        refresh: &Hash32,
    ) -> Result<Begun, PostgresError> {
        let doing = "begin a session of the API";
        let user = new.user;
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let factor = rows(&transaction, doing, include_str!("../sql/lock_second_factor.sql"), &[&user.0]).await?;
        let in_use = factor.first().map_or(Ok(false), |row| column::<bool>(row, 1))?;
        let mut after = json!({ "api": true });
        if in_use {
            let Some(proof) = proof else { return Ok(Begun::NeedsCode) };
            let proved = self.prove(&transaction, (tenant, user, by), proof, true, new.created_at).await?;
            if proved != Proved::Yes {
                // The wrong try is counted.
                tenant::commit(transaction, doing).await?;
                return Ok(Begun::Refused(proved));
            }
            after["second"] = match proof {
                Proof::Code(_) => "code".into(),
                Proof::Recovery(_) => "recovery_code".into(),
            };
        }
        let session = sessions::insert(&transaction, tenant, new, sessions::Kind::Api).await?;
        insert_refresh_token(&transaction, tenant, refresh, session, new.created_at).await?;
        let found = find(&transaction, session, new.created_at, doing).await?;
        let session = found.ok_or(PostgresError::Missing { doing })?;
        if session.row.needs_factor && !session.row.has_factor {
            return Ok(Begun::MustEnrol);
        }
        let deed = Deed::plain("session.begin", "user", user).after(&after);
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(Begun::Session(Box::new(session)))
    }

    /// A living session of the API.
    pub async fn api_session(&self, tenant: TenantId, id: Uuid, now: Millis) -> Result<Option<ApiSession>, PostgresError> {
        let doing = "find a session of the API";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let found = find(&transaction, id, now, doing).await?;
        tenant::commit(transaction, doing).await?;
        Ok(found)
    }

    /// Takes a refresh token. Of many who show the same one at once, one is first; a token that was used before ends its session
    /// (S-110, S-112).
    pub async fn refresh(&self, by: &By, shown: &Shown<'_>, now: Millis) -> Result<Refreshed, PostgresError> {
        let doing = "take a refresh token";
        let hash = shown.hash.as_slice();
        let sql = include_str!("../sql/refresh_token_tenant.sql");
        let asked = self.ask(doing, sql, &[&hash]).await?;
        let found = asked.first().map_or(Ok(None), |row| column::<Option<Uuid>>(row, 0))?;
        let Some(tenant) = found.map(TenantId) else {
            return Ok(Refreshed::Unknown);
        };
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let Some(id) = lock(&transaction, shown.hash, doing).await? else {
            return Ok(Refreshed::Unknown);
        };
        let kept = rows(&transaction, doing, include_str!("../sql/refresh_token.sql"), &[&hash]).await?;
        let Some(row) = kept.first() else { return Ok(Refreshed::Unknown) };
        let (used, seed): (Option<i64>, Option<&[u8]>) = (column(row, 0)?, column(row, 1)?);
        let Some(session) = find(&transaction, id, now, doing).await? else {
            // One that has run out is deleted.
            tenant::commit(transaction, doing).await?;
            return Ok(Refreshed::Unknown);
        };
        let seed = match (used, seed) {
            (None, _) => {
                let successor = (shown.successor)(&shown.seed);
                insert_refresh_token(&transaction, tenant, &successor, id, now).await?;
                let sql = include_str!("../sql/use_refresh_token.sql");
                rows(&transaction, doing, sql, &[&hash, &id, &now.0, &shown.seed.as_slice()]).await?;
                shown.seed
            }
            (Some(used), Some(seed)) if now.0.saturating_sub(used) <= GRACE_MS => {
                let malformed = |_| PostgresError::Misconfigured("the seed of a refresh token has not 32 bytes".into());
                seed.try_into().map_err(malformed)?
            }
            _ => {
                rows(&transaction, doing, include_str!("../sql/end_api_session.sql"), &[&id]).await?;
                let deed = Deed::plain("session.reuse", "user", session.row.user).after(&json!({ "session": id }));
                audit::append(&transaction, tenant, by, &deed).await?;
                // Whose token is in other hands has to know, and is where mail reaches them.
                if shown.mail {
                    post(&transaction, tenant, session.row.user.0, Matter::TokenReuse, now).await?;
                }
                tenant::commit(transaction, doing).await?;
                return Ok(Refreshed::Reused { tenant });
            }
        };
        tenant::commit(transaction, doing).await?;
        Ok(Refreshed::Session(Box::new(session), seed))
    }

    /// Ends the session of a refresh token; one that is unknown is no error.
    pub async fn revoke_refresh_token(&self, by: &By, hash: &Hash32) -> Result<(), PostgresError> {
        let doing = "end a session of the API";
        let sql = include_str!("../sql/refresh_token_tenant.sql");
        let asked = self.ask(doing, sql, &[&hash.as_slice()]).await?;
        let found = asked.first().map_or(Ok(None), |row| column::<Option<Uuid>>(row, 0))?;
        let Some(tenant) = found.map(TenantId) else { return Ok(()) };
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let Some(session) = lock(&transaction, hash, doing).await? else {
            return Ok(());
        };
        let ended = rows(&transaction, doing, include_str!("../sql/end_api_session.sql"), &[&session]).await?;
        if let Some(row) = ended.first() {
            let user = UserId(column(row, 0)?);
            let deed = Deed::plain("session.end", "user", user).after(&json!({ "session": session }));
            audit::append(&transaction, tenant, by, &deed).await?;
        }
        tenant::commit(transaction, doing).await
    }
}

/// Takes the session of a refresh token: who asks at the same time waits, and then sees what was left. The session is locked before
/// anything of its tokens, as by whoever ends it.
async fn lock(transaction: &Transaction<'_>, hash: &Hash32, doing: &'static str) -> Result<Option<Uuid>, PostgresError> {
    let sql = include_str!("../sql/lock_session_of_refresh_token.sql");
    let locked = rows(transaction, doing, sql, &[&hash.as_slice()]).await?;
    locked.first().map(|row| column(row, 0)).transpose()
}

async fn insert_refresh_token(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    hash: &Hash32,
    session: Uuid,
    now: Millis,
) -> Result<(), PostgresError> {
    let sql = include_str!("../sql/create_refresh_token.sql");
    let parameters: super::Parameters<'_> = &[&tenant.0, &hash.as_slice(), &session, &now.0];
    rows(transaction, "keep a refresh token", sql, parameters).await.map(drop)
}

async fn find(transaction: &Transaction<'_>, id: Uuid, now: Millis, doing: &'static str) -> Result<Option<ApiSession>, PostgresError> {
    let found = rows(transaction, doing, include_str!("../sql/api_session.sql"), &[&id, &now.0]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let malformed = |_| PostgresError::Misconfigured("the hash of a session has not 32 bytes".into());
    Ok(Some(ApiSession {
        id,
        row: read_session(row)?,
        token_hash: column::<&[u8]>(row, 10)?.try_into().map_err(malformed)?,
        rights: column(row, 11)?,
    }))
}
