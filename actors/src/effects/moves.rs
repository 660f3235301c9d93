//! Moves usage to the business, or to the days, that the directory names now: after a change of the directory, and after a start,
//! because it may have changed while nobody looked.

use std::collections::{BTreeSet, HashSet};

use trunkline_core::id::TenantId;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::effects::{Advance, UsageOwner, Written};

use super::fold::{home, place};
use super::{EffectsError, Ground};
use crate::system::now;

/// Calls moved with one transaction: new events wait for it.
const MOVED_AT_ONCE: i64 = 500;

/// A pass over the calls of the partitions of this member.
#[derive(Default)]
pub(super) struct Moves {
    /// Tenants that were looked through.
    done: HashSet<TenantId>,
}

/// What a step did.
pub(super) enum Step {
    /// Moved so many calls.
    Moved(u64),
    /// All stand where they belong.
    Finished,
    /// A partition is not ours any more.
    Stale,
    /// Calls may have been moved, now or later.
    Unknown(PostgresError),
}

impl Moves {
    /// Moves some calls. `fences` name the partitions of this member, with nothing read.
    pub async fn step(&mut self, ground: &Ground, fences: &[Advance]) -> Result<Step, EffectsError> {
        let directory = ground.directory.borrow().clone();
        let partitions: Vec<u32> = fences.iter().map(|fence| fence.partition).collect();
        let tenants: BTreeSet<TenantId> = directory.businesses.values().map(|business| business.tenant).collect();
        for tenant in tenants {
            if self.done.contains(&tenant) {
                continue;
            }
            let belongs = |owner: &UsageOwner| {
                let (business, zone) = home(&directory, tenant, owner.workspace, &owner.owner_agent);
                business == owner.business && *zone == *owner.zone
            };
            let owners = ground.store.owners(tenant, &partitions).await?;
            let Some(owner) = owners.into_iter().find(|owner| !belongs(owner)) else {
                self.done.insert(tenant);
                continue;
            };
            let keys = ground.store.calls_of_owner(&owner, &partitions, MOVED_AT_ONCE).await?;
            let mut moved = Vec::with_capacity(keys.len());
            let mut known = ground.store.calls(&keys).await?;
            for mut call in keys.iter().filter_map(|key| known.remove(key)) {
                let before = call.standing.clone();
                place(&mut call, &directory);
                moved.push((Some(before), call));
            }
            return Ok(match ground.store.write(fences, &moved, &[], now(&ground.options.clock)).await {
                Ok(Written::Done) => Step::Moved(moved.len() as u64),
                Ok(Written::Stale) => Step::Stale,
                Err(error) => Step::Unknown(error),
            });
        }
        Ok(Step::Finished)
    }
}
