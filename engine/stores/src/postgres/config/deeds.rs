//! The record of who did what, read page by page, newest first.

use trunkline_core::audit::Entry;
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::Config;
use super::audit::{read_entry, read_hash};
use crate::clickhouse::Turning;
use crate::postgres::PostgresError;

/// Which entries. What is `None` does not narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeedFilter {
    /// Of this person or program.
    pub actor: Option<Uuid>,
    /// This action, or a group of them: `call` finds `call.view`.
    pub action: Option<String>,
    /// To this kind of thing.
    pub object: Option<String>,
    /// To this one, by its public id.
    pub object_id: Option<String>,
    /// Not before this moment.
    pub from: Option<Millis>,
    /// Before this moment.
    pub to: Option<Millis>,
    /// Part of the actor's name, the action, the object's id or the address; whatever its case.
    pub words: Option<String>,
}

/// An entry with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deeded {
    /// The entry.
    pub entry: Entry,
    /// Its hash, which covers the entry before.
    pub hash: [u8; 32],
}

/// Some entries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeedPage {
    /// The entries.
    pub entries: Vec<Deeded>,
    /// Number of the last one, when there are older ones.
    pub older: Option<i64>,
    /// Number of the first one, when there are newer ones.
    pub newer: Option<i64>,
}

impl Config {
    /// A page of at most `limit` entries.
    pub async fn deeds(
        &self,
        tenant: TenantId,
        filter: &DeedFilter,
        turning: &Turning<i64>,
        limit: u32,
    ) -> Result<DeedPage, PostgresError> {
        let (sql, place) = match turning {
            Turning::First => (include_str!("../sql/audit_older.sql"), i64::MAX),
            Turning::Older(number) => (include_str!("../sql/audit_older.sql"), *number),
            Turning::Newer(number) => (include_str!("../sql/audit_newer.sql"), *number),
        };
        let limit = limit as usize;
        let wanted = limit as i64 + 1;
        let (from, to) = (filter.from.map(|at| at.0), filter.to.map(|at| at.0));
        let found = self
            .ask_within(
                tenant,
                "read the record of deeds",
                sql,
                &[
                    &place,
                    &filter.actor,
                    &filter.action,
                    &filter.object,
                    &filter.object_id,
                    &from,
                    &to,
                    &filter.words,
                    &wanted,
                ],
            )
            .await?;
        let more = found.len() > limit;
        let mut entries = Vec::with_capacity(limit.min(found.len()));
        for row in found.iter().take(limit) {
            entries.push(Deeded {
                entry: read_entry(tenant, row)?,
                hash: read_hash(row, 12)?,
            });
        }
        let turned = matches!(turning, Turning::Newer(_));
        if turned {
            entries.reverse();
        }
        let edge = |entry: Option<&Deeded>, there: bool| entry.filter(|_| there).map(|deed| deed.entry.number);
        Ok(DeedPage {
            older: edge(entries.last(), turned || more),
            newer: edge(entries.first(), if turned { more } else { *turning != Turning::First }),
            entries,
        })
    }
}
