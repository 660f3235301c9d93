//! Requests that are sent twice: what was answered is kept for a day, encrypted, because answers may hold a secret that is shown once.
//!
//! A rotation of master keys does not move these answers: they are forgotten sooner than anybody removes the old key.

use secrecy::SecretString;
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{Config, column, must_exist, rows};
use crate::keyring::Place;
use crate::postgres::row::Hash32;
use crate::postgres::{PostgresError, tenant};

/// Answers are kept this long.
pub const KEPT_MS: i64 = 24 * 3_600_000;

/// A request still without an answer after this was left by a process that died; the next try of the same request does it.
pub const ABANDONED_MS: i64 = 60_000;

/// What is asked, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Whose.
    pub tenant: TenantId,
    /// The person or the key.
    pub actor: Uuid,
    /// Hash of the caller's key.
    pub key: Hash32,
    /// Hash of method, path and body.
    pub request: Hash32,
}

/// A request that is being worked on.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    tenant: TenantId,
    id: Uuid,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// `Location`, if any.
    pub location: Option<String>,
    /// The body: JSON.
    pub body: SecretString,
}

/// What is known of a request.
#[derive(Debug, Clone)]
pub enum Known {
    /// Nothing: do it.
    Fresh(Begun),
    /// It is being worked on.
    Running,
    /// The key was used for another request.
    Other,
    /// It was answered.
    Answered(Answer),
}

impl Config {
    /// Begins a request, or says what became of it.
    pub async fn begin_request(&self, asked: &Asked, now: Millis) -> Result<Known, PostgresError> {
        let doing = "begin a request";
        let id = Uuid::now_v7();
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, asked.tenant, doing).await?;
        let (key, request) = (asked.key.as_slice(), asked.request.as_slice());
        let (expired, abandoned) = (now.plus(-KEPT_MS).0, now.plus(-ABANDONED_MS).0);
        let claim = include_str!("../sql/idempotent_claim.sql");
        let claimed = rows(
            &transaction,
            doing,
            claim,
            &[&asked.tenant.0, &asked.actor, &key, &request, &id, &expired, &abandoned, &now.0],
        )
        .await?;
        let found = match claimed.is_empty() {
            true => {
                rows(
                    &transaction,
                    doing,
                    include_str!("../sql/idempotent_found.sql"),
                    &[&asked.actor, &key],
                )
                .await?
            }
            false => Vec::new(),
        };
        tenant::commit(transaction, doing).await?;
        if !claimed.is_empty() {
            let begun = Begun { tenant: asked.tenant, id };
            return Ok(Known::Fresh(begun));
        }
        // Given back between the two questions: the next try will find nothing.
        let Some(row) = found.first() else { return Ok(Known::Running) };
        if column::<&[u8]>(row, 1)? != request {
            return Ok(Known::Other);
        }
        let Some(status) = column::<Option<i32>>(row, 2)? else {
            return Ok(Known::Running);
        };
        let stored: &str = column(row, 4)?;
        let body = self
            .keyring
            .open(&place(asked.tenant, column(row, 0)?), stored)
            .map_err(|why| PostgresError::Unreadable { doing, why })?;
        Ok(Known::Answered(Answer {
            status: u16::try_from(status).unwrap_or_default(),
            location: column(row, 3)?,
            body,
        }))
    }

    /// Keeps the answer of a request that was begun.
    pub async fn answer_request(&self, begun: Begun, answer: &Answer) -> Result<(), PostgresError> {
        let doing = "keep an answer";
        let sealed = self.keyring.seal(&place(begun.tenant, begun.id), &answer.body);
        let sql = include_str!("../sql/idempotent_finish.sql");
        let status = i32::from(answer.status);
        let kept = self
            .ask_within(begun.tenant, doing, sql, &[&begun.id, &status, &answer.location, &sealed])
            .await?;
        must_exist(&kept, doing)
    }

    /// Gives a request back that was refused: it may be tried again.
    pub async fn release_request(&self, begun: Begun) -> Result<(), PostgresError> {
        let sql = include_str!("../sql/idempotent_release.sql");
        self.ask_within(begun.tenant, "give a request back", sql, &[&begun.id])
            .await
            .map(drop)
    }

    /// Deletes at most `most` requests that are older than is promised.
    pub async fn forget_requests(&self, now: Millis, most: i32) -> Result<u64, PostgresError> {
        let sql = include_str!("../sql/forget_idempotent.sql");
        let found = self.ask("forget requests", sql, &[&now.plus(-KEPT_MS).0, &most]).await?;
        Ok(found.first().map_or(Ok(0), |row| column::<i64>(row, 0))?.unsigned_abs())
    }
}

fn place(tenant: TenantId, row: Uuid) -> Place {
    Place {
        tenant,
        column: "idempotent_requests.answer",
        row,
    }
}
