//! Openings: somebody of the platform reads what an organisation has, for a while and for a reason that the organisation sees.

use tokio_postgres::Row;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{OpeningId, TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::second_factor::{Proof, Proved};
use super::{Config, audit, column, must_exist, rows, sessions};
use crate::postgres::row::{Hash32, Opening, OpeningListed};
use crate::postgres::{PostgresError, tenant};

/// Somebody of the platform who wants to open an organisation's data.
pub struct Opener<'a> {
    /// The platform's own organisation.
    pub platform: TenantId,
    /// Who.
    pub user: UserId,
    /// The session that is to see it, and no other.
    pub session_hash: Hash32,
    /// As noted in both records of deeds.
    pub by: &'a By,
}

impl Config {
    /// Opens an organisation's data to one session until `expires_at`, for a fresh code of the second factor. What the session had open
    /// before is closed. `Missing`: there is no such organisation.
    pub async fn open_organisation(
        &self,
        opener: &Opener<'_>,
        id: TenantId,
        proof: &Proof<'_>,
        reason: &str,
        (now, expires_at): (Millis, Millis),
    ) -> Result<Proved, PostgresError> {
        let doing = "open an organisation's data";
        let Opener { platform, user, by, .. } = *opener;
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, platform, doing).await?;
        let proved = self.prove(&transaction, (platform, user, by), proof, true, now).await?;
        if proved != Proved::Yes {
            tenant::commit(transaction, doing).await?;
            return Ok(proved);
        }
        // A cookie from before sees nothing of it (S-113).
        sessions::renew(&transaction, user, Some(&opener.session_hash)).await?;
        let opening = OpeningId(Uuid::now_v7());
        let about = serde_json::json!({ "opening": opening.to_string(), "reason": reason, "until_ms": expires_at.0 });
        let deed = Deed::plain("organisation.open", "organisation", id).after(&about);
        audit::append(&transaction, platform, by, &deed).await?;
        let sql = include_str!("../sql/opening_by_session.sql");
        let hash = opener.session_hash.as_slice();
        if let Some(before) = rows(&transaction, doing, sql, &[&hash])
            .await?
            .first()
            .map(read_opening)
            .transpose()?
        {
            tenant::enter(&transaction, before.tenant, doing).await?;
            let sql = include_str!("../sql/end_opening.sql");
            rows(&transaction, doing, sql, &[&before.id.0, &now.0]).await?;
            audit::append(&transaction, before.tenant, by, &closed(before.tenant)).await?;
        }
        tenant::enter(&transaction, id, doing).await?;
        let there = rows(&transaction, doing, include_str!("../sql/lock_organisation.sql"), &[]).await?;
        must_exist(&there, doing)?;
        let sql = include_str!("../sql/create_opening.sql");
        let name: String = by.name.chars().take(200).collect();
        rows(
            &transaction,
            doing,
            sql,
            &[&id.0, &opening.0, &user.0, &name, &hash, &reason, &now.0, &expires_at.0],
        )
        .await?;
        audit::append(&transaction, id, by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(Proved::Yes)
    }

    /// What a session has open at `now`.
    pub async fn opening_of(&self, session_hash: &Hash32, now: Millis) -> Result<Option<Opening>, PostgresError> {
        let sql = include_str!("../sql/opening_by_session.sql");
        let found = self.ask("find an opening", sql, &[&session_hash.as_slice()]).await?;
        let opening = found.first().map(read_opening).transpose()?;
        Ok(opening.filter(|opening| opening.expires_at > now))
    }

    /// Closes what a session has open. `Missing`: nothing is.
    pub async fn close_opening(&self, platform: TenantId, by: &By, opening: &Opening, now: Millis) -> Result<(), PostgresError> {
        let doing = "close an organisation's data";
        let deed = closed(opening.tenant);
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, platform, doing).await?;
        audit::append(&transaction, platform, by, &deed).await?;
        tenant::enter(&transaction, opening.tenant, doing).await?;
        let sql = include_str!("../sql/end_opening.sql");
        must_exist(&rows(&transaction, doing, sql, &[&opening.id.0, &now.0]).await?, doing)?;
        audit::append(&transaction, opening.tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// The newest openings of an organisation's data.
    pub async fn openings(&self, tenant: TenantId, most: u32) -> Result<Vec<OpeningListed>, PostgresError> {
        let sql = include_str!("../sql/openings.sql");
        let found = self.ask_within(tenant, "list openings", sql, &[&i64::from(most)]).await?;
        let read = |row| {
            Ok(OpeningListed {
                id: OpeningId(column(row, 0)?),
                opened_by: UserId(column(row, 1)?),
                opened_name: column(row, 2)?,
                reason: column(row, 3)?,
                created_at: Millis(column(row, 4)?),
                expires_at: Millis(column(row, 5)?),
                ended_at: column::<Option<i64>>(row, 6)?.map(Millis),
            })
        };
        found.iter().map(read).collect()
    }
}

fn closed(tenant: TenantId) -> Deed {
    Deed::plain("organisation.close", "organisation", tenant)
}

fn read_opening(row: &Row) -> Result<Opening, PostgresError> {
    Ok(Opening {
        tenant: TenantId(column(row, 0)?),
        id: OpeningId(column(row, 1)?),
        reason: column(row, 2)?,
        created_at: Millis(column(row, 3)?),
        expires_at: Millis(column(row, 4)?),
        organisation: column(row, 5)?,
    })
}
