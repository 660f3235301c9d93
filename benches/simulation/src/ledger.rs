//! Postgres's usage ledger in memory: one write is all or nothing, and only under the epoch and from the offset that hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use trunkline_core::id::{BusinessId, CallKey, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::usage::Usage;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::effects::{
    Advance, Announcement, Claim, Standing, UsageCall, UsageLedger, UsageOwner, Written, differences,
};

use crate::world::{Asked, Lost, Node, World};

/// Tenant, business, day, partition.
pub type Day = (TenantId, BusinessId, String, u32);

/// A job of the outbox.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id: by it receivers tell repeats.
    pub id: u64,
    /// What is to be told.
    pub announcement: Announcement,
    /// When it is due.
    pub due_at: Millis,
}

/// The ledger.
#[derive(Default)]
pub struct LedgerState {
    /// Every call, as it is kept.
    pub calls: BTreeMap<CallKey, UsageCall>,
    /// Sums of days.
    pub days: BTreeMap<Day, Usage>,
    /// Epoch and next offset of each partition.
    pub offsets: BTreeMap<u32, (i64, i64)>,
    /// The outbox.
    pub jobs: Vec<Job>,
    /// Writes that a fence kept out, so far.
    pub fenced: u64,
}

impl LedgerState {
    fn claim(&mut self, partition: u32, begins: i64, end: i64) -> Claim {
        let (epoch, before) = self
            .offsets
            .get(&partition)
            .map_or((0, None), |(epoch, next)| (*epoch, Some(*next)));
        let next = before.filter(|next| (begins..=end).contains(next)).unwrap_or(begins);
        self.offsets.insert(partition, (epoch + 1, next));
        Claim {
            epoch: epoch + 1,
            next,
            lost: before.filter(|before| *before != next),
        }
    }

    fn write(&mut self, advances: &[Advance], calls: Vec<(Option<Standing>, UsageCall)>, told: Vec<Announcement>, now: Millis) -> Written {
        let holds = |advance: &Advance| self.offsets.get(&advance.partition) == Some(&(advance.epoch, advance.from));
        if !advances.iter().all(holds) {
            self.fenced += 1;
            return Written::Stale;
        }
        for advance in advances {
            self.offsets.insert(advance.partition, (advance.epoch, advance.to));
        }
        let tenants: BTreeSet<TenantId> = calls.iter().map(|(_, call)| call.key.tenant).collect();
        for tenant in tenants {
            let of = calls.iter().filter(|(_, call)| call.key.tenant == tenant);
            let stands = of.map(|(before, call)| (before.as_ref(), &call.standing));
            for ((business, day, partition), usage) in differences(stands) {
                *self.days.entry((tenant, business, day.to_string(), partition)).or_default() += usage;
            }
            for announcement in told.iter().filter(|told| told.tenant == tenant) {
                let id = self.jobs.len() as u64 + 1;
                self.jobs.push(Job {
                    id,
                    announcement: announcement.clone(),
                    due_at: now,
                });
            }
        }
        self.calls.extend(calls.into_iter().map(|(_, call)| (call.key.clone(), call)));
        Written::Done
    }
}

/// The ledger as one process sees it.
pub struct Ledger {
    world: World,
    node: Node,
}

impl Ledger {
    /// The ledger for one life of a process.
    pub fn new(world: &World, node: Node) -> Ledger {
        Ledger {
            world: world.clone(),
            node,
        }
    }
}

fn away(lost: Lost) -> PostgresError {
    let why = match lost {
        Lost::Refused => "too many connections",
        Lost::Unknown => "connection closed",
    };
    PostgresError::Unavailable {
        doing: "simulate",
        why: why.to_owned(),
    }
}

#[async_trait]
impl UsageLedger for Ledger {
    async fn claim(&self, partition: u32, begins: i64, end: i64) -> Result<Claim, PostgresError> {
        let what = format!("ledger claims {partition}");
        let claimed = self.world.ask(self.node, Asked::Ordered, what, move |state| {
            state.ledger.claim(partition, begins, end)
        });
        claimed.await.map_err(away)
    }

    async fn calls(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, UsageCall>, PostgresError> {
        let keys = keys.to_vec();
        let what = format!("ledger reads {} calls", keys.len());
        let read = self.world.ask(self.node, Asked::Read, what, move |state| {
            let known = keys
                .into_iter()
                .filter_map(|key| Some((key.clone(), state.ledger.calls.get(&key)?.clone())));
            known.collect()
        });
        read.await.map_err(away)
    }

    async fn owners(&self, tenant: TenantId, partitions: &[u32]) -> Result<Vec<UsageOwner>, PostgresError> {
        let partitions = partitions.to_vec();
        let read = self.world.ask(self.node, Asked::Read, "ledger reads owners", move |state| {
            let of = state
                .ledger
                .calls
                .values()
                .filter(|call| call.key.tenant == tenant && partitions.contains(&call.standing.partition));
            let mut owners: Vec<UsageOwner> = Vec::new();
            for call in of {
                let owner = owner(call);
                if !owners.contains(&owner) {
                    owners.push(owner);
                }
            }
            owners
        });
        read.await.map_err(away)
    }

    async fn calls_of_owner(&self, owner: &UsageOwner, partitions: &[u32], most: i64) -> Result<Vec<CallKey>, PostgresError> {
        let (wanted, partitions) = (owner.clone(), partitions.to_vec());
        let most = usize::try_from(most).unwrap_or(0).min(4);
        let read = self
            .world
            .ask(self.node, Asked::Read, "ledger reads calls of an owner", move |state| {
                let of = state.ledger.calls.values();
                let of = of.filter(|call| partitions.contains(&call.standing.partition) && self::owner(call) == wanted);
                of.take(most).map(|call| call.key.clone()).collect()
            });
        read.await.map_err(away)
    }

    async fn write(
        &self,
        advances: &[Advance],
        calls: &[(Option<Standing>, UsageCall)],
        announcements: &[Announcement],
        now: Millis,
    ) -> Result<Written, PostgresError> {
        let (advances, calls, told) = (advances.to_vec(), calls.to_vec(), announcements.to_vec());
        let words: Vec<String> = advances
            .iter()
            .map(|advance| format!("{}:{}-{}@{}", advance.partition, advance.from, advance.to, advance.epoch))
            .collect();
        let what = format!(
            "ledger writes {} ({} calls, {} announcements)",
            words.join(" "),
            calls.len(),
            told.len()
        );
        let written = self.world.ask(self.node, Asked::Free, what, move |state| {
            let written = state.ledger.write(&advances, calls, told, now);
            if written == Written::Stale {
                state.trace.note(0, "      kept out by the fence");
            }
            written
        });
        written.await.map_err(away)
    }
}

fn owner(call: &UsageCall) -> UsageOwner {
    UsageOwner {
        tenant: call.key.tenant,
        workspace: call.workspace,
        owner_agent: call.owner_agent.clone(),
        business: call.standing.business,
        zone: call.standing.zone.to_string(),
    }
}
