//! Moves calls to the business that the directory names now: after a change of the directory, and after a start, because it may
//! have changed while nobody looked.

use std::collections::HashSet;

use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_stores::clickhouse::{AnalyticsError, Owned};

use super::Ground;
use super::cache::Cache;
use super::fold::{fold, untouched};
use super::rows::Rows;

/// A pass over the calls of the partitions of this member.
#[derive(Default)]
pub(super) struct Moves {
    /// Groups of calls that a pass could not move; not tried again before the next pass.
    stuck: HashSet<Owned>,
}

impl Moves {
    /// Moves some calls; `None` when all stand where they belong.
    pub async fn step(&mut self, ground: &Ground, cache: &mut Cache, partitions: &[u32]) -> Result<Option<u64>, AnalyticsError> {
        let directory = ground.directory.borrow().clone();
        let owners = ground.tables.owners(partitions).await?;
        let misplaced = owners.into_iter().find(|owned| {
            let agent = Some(owned.owner_agent.as_str()).filter(|agent| !agent.is_empty());
            let home = directory.business_of(TenantId(owned.tenant), WorkspaceId(owned.workspace), agent);
            home.is_some_and(|home| home.0 != owned.business) && !self.stuck.contains(owned)
        });
        let Some(owned) = misplaced else { return Ok(None) };
        let keys = ground.tables.calls_of_owner(&owned, partitions).await?;
        let calls = fold(&*ground.tables, cache, &mut [], &untouched(keys)).await?;
        let mut rows = Rows::new("moves".to_owned(), Vec::new());
        let mut moved = 0;
        for (key, mut held) in calls {
            let cancelled_before = rows.transcripts.len();
            rows.add(&key, &mut held, &directory, &ground.options.rules);
            moved += u64::from(rows.transcripts.len() > cancelled_before + 1);
            // Not kept: a move is rare, and what is written may still fail.
        }
        if moved == 0 {
            self.stuck.insert(owned);
            return Ok(Some(0));
        }
        rows.write(&*ground.tables).await?;
        Ok(Some(moved))
    }
}
