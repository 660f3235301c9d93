//! Links that show one board on a screen without a seat.

use serde_json::json;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, LinkId, TenantId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{Config, column, must_exist};
use crate::postgres::PostgresError;
use crate::postgres::row::Hash32;

/// A link to be made.
#[derive(Debug, Clone)]
pub struct NewTvLink {
    /// Where the screen hangs, or what it is for.
    pub name: String,
    /// Its business; none: the whole organisation.
    pub business: Option<BusinessId>,
    /// Its agent, by Retell's id; none: all of the business.
    pub agent: Option<String>,
    /// Calls of this direction only: `inbound` or `outbound`; none: all.
    pub direction: Option<String>,
    /// Hash of its secret.
    pub token_hash: Hash32,
    /// Now.
    pub created_at: Millis,
    /// Not accepted from then on.
    pub expires_at: Millis,
}

/// A link as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TvLink {
    /// Which.
    pub id: LinkId,
    /// Where the screen hangs, or what it is for.
    pub name: String,
    /// Its business.
    pub business: Option<BusinessId>,
    /// Its agent.
    pub agent: Option<String>,
    /// Calls of this direction only.
    pub direction: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// Not accepted from then on.
    pub expires_at: Millis,
    /// When its screen asked last, to the minute.
    pub seen_at: Option<Millis>,
    /// Taken back.
    pub revoked: bool,
}

impl TvLink {
    /// Whether it is accepted at this moment.
    pub fn holds(&self, now: Millis) -> bool {
        !self.revoked && self.expires_at > now
    }
}

/// What a screen may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TvLinkAccess {
    /// Organisation.
    pub tenant: TenantId,
    /// Which link.
    pub id: LinkId,
    /// Its name.
    pub name: String,
    /// Its business.
    pub business: Option<BusinessId>,
    /// Its agent.
    pub agent: Option<String>,
    /// Calls of this direction only.
    pub direction: Option<String>,
}

impl Config {
    /// Makes a link.
    pub async fn create_tv_link(&self, tenant: TenantId, by: &By, new: &NewTvLink) -> Result<LinkId, PostgresError> {
        let id = LinkId(Uuid::now_v7());
        let business = new.business.map(|business| business.0);
        let deed = Deed::plain("tv_link.create", "tv_link", id).after(&json!({
            "name": new.name, "business": new.business, "agent": new.agent, "direction": new.direction, "expires_ms": new.expires_at.0,
        }));
        let sql = include_str!("../sql/create_tv_link.sql");
        self.change(
            tenant,
            (by, &deed),
            "make a link for a screen",
            sql,
            &[
                &tenant.0,
                &id.0,
                &new.name,
                &business,
                &new.agent,
                &new.token_hash.as_slice(),
                &new.created_at.0,
                &new.expires_at.0,
                &new.direction,
            ],
        )
        .await?;
        Ok(id)
    }

    /// Links of a tenant, those that were taken back last.
    pub async fn tv_links(&self, tenant: TenantId) -> Result<Vec<TvLink>, PostgresError> {
        let found = self
            .ask_within(tenant, "list links of screens", include_str!("../sql/tv_links.sql"), &[])
            .await?;
        let read = |row| {
            Ok(TvLink {
                id: LinkId(column(row, 0)?),
                name: column(row, 1)?,
                business: column::<Option<Uuid>>(row, 2)?.map(BusinessId),
                agent: column(row, 3)?,
                created_at: Millis(column(row, 4)?),
                expires_at: Millis(column(row, 5)?),
                seen_at: column::<Option<i64>>(row, 6)?.map(Millis),
                revoked: column(row, 7)?,
                direction: column(row, 8)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Takes a link back.
    pub async fn revoke_tv_link(&self, tenant: TenantId, by: &By, id: LinkId, now: Millis) -> Result<(), PostgresError> {
        let doing = "take a link of a screen back";
        let deed = Deed::plain("tv_link.revoke", "tv_link", id);
        let sql = include_str!("../sql/revoke_tv_link.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&id.0, &now.0]).await?, doing)
    }

    /// The link with this secret, if it holds; its screen counts as seen now: asked before a tenant is known.
    pub async fn tv_link_access(&self, token_hash: &Hash32, now: Millis) -> Result<Option<TvLinkAccess>, PostgresError> {
        let sql = include_str!("../sql/tv_link_access.sql");
        let found = self.ask("find a link of a screen", sql, &[&token_hash.as_slice(), &now.0]).await?;
        let read = |row| {
            Ok(TvLinkAccess {
                tenant: TenantId(column(row, 0)?),
                id: LinkId(column(row, 1)?),
                name: column(row, 2)?,
                business: column::<Option<Uuid>>(row, 3)?.map(BusinessId),
                agent: column(row, 4)?,
                direction: column(row, 5)?,
            })
        };
        found.first().map(read).transpose()
    }
}
