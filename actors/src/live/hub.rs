//! The hub: what readers publish and screens read. Immutable snapshots; nobody waits for an actor here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;
use foldhash::fast::RandomState;
use serde::Serialize;
use tokio::sync::watch;
use trunkline_core::facts::{CallFacts, CallState};
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::Partial;
use trunkline_stores::postgres::reconciler::Summary;

use super::board_cache::BoardCache;
use super::completeness::{FOLLOWED, ProgressBook};
use super::glance::{Fresh, Glance};
use super::kept::Kept;
use super::set_aside::SetAsideBook;
use crate::audit::AuditSummary;

/// Removals remembered per tenant, so that a reader can go on from its version; an older reader takes all rows anew.
const GONE_MAX: usize = 4_096;

/// Agents whose names are remembered per tenant; beyond, the board shows ids.
const AGENT_NAMES_MAX: usize = 10_000;

/// Shards of a tenant's table of calls. Many tenants exist and few threads write, so the usual 4 per core waste memory.
const CALL_SHARDS: usize = 4;

/// One call as lists and boards see it.
#[derive(Debug, Clone, Serialize)]
pub struct LiveCall {
    /// The business it belongs to; `None` only while its workspace is not in the directory.
    pub business: Option<BusinessId>,
    /// All that is known of it but the transcript.
    pub facts: Arc<CallFacts>,
    /// Rises with every publication of this row, across all calls.
    pub version: u64,
}

/// Which call within a tenant.
type Which = (Kind, Arc<str>);

fn which(key: &CallKey) -> Which {
    (key.kind, Arc::clone(&key.id))
}

/// A call as kept in the hub: small, because there are very many and few are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) call: Kept,
    pub(crate) glance: Glance,
    pub(crate) business: Option<BusinessId>,
    pub(crate) version: u64,
    partition: u32,
}

/// A new or changed row.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) key: CallKey,
    pub(crate) business: Option<BusinessId>,
    /// `None`: only its business changed.
    pub(crate) fresh: Option<Box<Fresh>>,
}

/// What one partition publishes for one tenant at once.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    pub(crate) rows: Vec<NewRow>,
    pub(crate) gone: Vec<CallKey>,
    pub(crate) partials: Vec<(BusinessId, Option<Arc<Partial>>)>,
}

/// Counts that need a walk over all rows, kept for a second.
#[derive(Debug, Default, Clone, Copy)]
struct Walked {
    at: Option<Millis>,
    open_without_end: u64,
    presumed_ended: u64,
}

/// Everything published for one tenant.
#[derive(Debug)]
pub(crate) struct TenantView {
    pub(crate) version: watch::Sender<u64>,
    pub(crate) calls: DashMap<Which, Row, RandomState>,
    /// Rows that were looked at lately, so that a hundred viewers of a list cost as much as one.
    looked_at: DashMap<Which, Arc<LiveCall>>,
    pub(crate) partials: DashMap<(BusinessId, u32), Arc<Partial>>,
    pub(crate) boards: BoardCache,
    agent_names: DashMap<Arc<str>, Arc<str>>,
    gone: Mutex<VecDeque<(u64, CallKey)>>,
    walked: Mutex<Walked>,
    /// Held from taking a version to announcing it: else a reader that saw a later version would never see this one's rows.
    order: Mutex<()>,
}

/// How long counts that need a walk over all rows are kept.
const WALK_MS: i64 = 1_000;

impl TenantView {
    fn new() -> TenantView {
        TenantView {
            version: watch::channel(0).0,
            calls: DashMap::with_capacity_and_hasher_and_shard_amount(0, RandomState::default(), CALL_SHARDS),
            looked_at: DashMap::with_shard_amount(CALL_SHARDS),
            partials: DashMap::with_shard_amount(CALL_SHARDS),
            boards: BoardCache::default(),
            agent_names: DashMap::with_shard_amount(CALL_SHARDS),
            gone: Mutex::default(),
            walked: Mutex::default(),
            order: Mutex::default(),
        }
    }

    /// Calls removed after version `since`; `None` when that is too long ago to know.
    pub(crate) fn gone_since(&self, since: u64) -> Option<Vec<CallKey>> {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = gone.len() == GONE_MAX && gone.front().is_some_and(|(version, _)| *version > since);
        (!forgotten).then(|| {
            gone.iter()
                .filter(|(version, _)| *version > since)
                .map(|(_, key)| key.clone())
                .collect()
        })
    }

    /// Removes rows, as of `version`. The caller holds `order`.
    fn forget_rows(&self, version: u64, which_go: impl Fn(&Row) -> bool) {
        let old = self.calls.iter().filter(|row| which_go(row));
        let old: Vec<CallKey> = old.map(|row| row.call.key().clone()).collect();
        for key in old {
            self.calls.remove(&which(&key));
            self.note_gone(version, key);
        }
    }

    /// What an agent is called, as its calls say.
    pub(crate) fn agent_name(&self, agent: &str) -> Option<String> {
        self.agent_names.get(agent).map(|name| name.to_string())
    }

    /// One call with its row.
    pub(crate) fn row(&self, key: &CallKey) -> Option<Row> {
        self.calls.get(&which(key)).map(|row| row.clone())
    }

    /// Rows that `chosen` holds of. Copied out: to make facts of them must not hold up who publishes.
    pub(crate) fn rows(&self, chosen: impl Fn(&Row) -> bool) -> Vec<Row> {
        self.calls.iter().filter(|row| chosen(row)).map(|row| row.clone()).collect()
    }

    /// A row as lists show it.
    pub(crate) fn live_call(&self, row: &Row) -> Arc<LiveCall> {
        let which = which(row.call.key());
        if let Some(known) = self.looked_at.get(&which).filter(|known| known.version == row.version) {
            return Arc::clone(&known);
        }
        let made = Arc::new(LiveCall {
            business: row.business,
            facts: Arc::new(row.call.call().facts()),
            version: row.version,
        });
        self.looked_at.insert(which, Arc::clone(&made));
        made
    }

    pub(crate) fn note_agent(&self, agent: Option<&Arc<str>>, name: Option<&Arc<str>>) {
        let (Some(agent), Some(name)) = (agent, name) else { return };
        if self.agent_names.get(agent).is_none_or(|known| *known != *name) && self.agent_names.len() < AGENT_NAMES_MAX {
            self.agent_names.insert(Arc::clone(agent), Arc::clone(name));
        }
    }

    fn note_gone(&self, version: u64, key: CallKey) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.len() == GONE_MAX {
            gone.pop_front();
        }
        gone.push_back((version, key));
    }

    /// (calls in progress silent for longer than `quiet_ms`, listed calls closed by the reaper).
    pub(crate) fn without_end(&self, now: Millis, quiet_ms: i64) -> (u64, u64) {
        let mut walked = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        if walked.at.is_none_or(|at| now.since(at) >= WALK_MS || now < at) {
            *walked = Walked {
                at: Some(now),
                ..Walked::default()
            };
            for row in &self.calls {
                let glance = &row.glance;
                let silent = now.since(glance.last_received_at) > quiet_ms;
                walked.open_without_end += u64::from(glance.state != CallState::Ended && silent);
                walked.presumed_ended += u64::from(glance.presumed_ended);
            }
        }
        (walked.open_without_end, walked.presumed_ended)
    }
}

/// Everything published by this process.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    tenants: DashMap<TenantId, Arc<TenantView>>,
    pub(crate) progress: ProgressBook,
    pub(crate) set_asides: SetAsideBook,
    /// What the reconciler has done, as last seen; none of a tenant without a key for Retell's API.
    pub(crate) reconciled: ArcSwap<HashMap<TenantId, Summary>>,
    /// What the auditor has found, as last seen; none before it was seen once.
    pub(crate) audited: ArcSwapOption<AuditSummary>,
    /// Calls of followed partitions that somebody looks at, and when that was: only their words are brought here.
    watched: DashMap<CallKey, Millis>,
    version: AtomicU64,
}

/// A call that nobody has asked for within this time is not looked at any more.
const WATCH_MS: i64 = 60_000;
/// Calls of other processes that can be looked at at once; words of further ones come when others are left.
const WATCHED_MAX: usize = 1_000;

impl Hub {
    /// Notes that somebody looks at a call.
    pub(crate) fn watch(&self, row: &Row, now: Millis) {
        let key = row.call.key();
        let has_room = self.watched.len() < WATCHED_MAX || self.watched.contains_key(key);
        if has_room && self.progress.holds(row.partition, FOLLOWED) {
            self.watched.insert(key.clone(), now);
        }
    }

    /// Calls that somebody looks at.
    pub(crate) fn watched(&self, now: Millis) -> Vec<CallKey> {
        self.watched.retain(|_, at| now.since(*at) < WATCH_MS);
        self.watched.iter().map(|entry| entry.key().clone()).collect()
    }

    /// The view of `tenant`; empty when nothing was published yet.
    pub(crate) fn tenant(&self, tenant: TenantId) -> Arc<TenantView> {
        if let Some(view) = self.tenants.get(&tenant) {
            return Arc::clone(&view);
        }
        Arc::clone(&self.tenants.entry(tenant).or_insert_with(|| Arc::new(TenantView::new())))
    }

    /// Makes what a partition has to say visible, and wakes who waits for these tenants. If it is all of the partition (`is_all`), what others
    /// have shown of it before goes: of each tenant in one step, so that no board falls and rises again because a partition changed hands.
    pub(crate) fn publish(&self, partition: u32, epoch: u64, mut publications: HashMap<TenantId, Publication>, is_all: bool) {
        if is_all {
            let known: Vec<TenantId> = self.tenants.iter().map(|view| *view.key()).collect();
            for tenant in known {
                publications.entry(tenant).or_default();
            }
        }
        for (tenant, publication) in publications {
            self.show(partition, epoch, tenant, publication, is_all);
        }
    }

    fn show(&self, partition: u32, epoch: u64, tenant: TenantId, publication: Publication, is_all: bool) {
        let view = self.tenant(tenant);
        let _order = view.order.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked under the lock: whoever gives the partition up, or has taken it, removes what is there under the same one, and so this as well.
        if !self.progress.holds(partition, epoch) {
            return;
        }
        let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
        for NewRow { key, business, fresh } in publication.rows {
            let Some(fresh) = fresh else {
                if let Some(mut row) = view.calls.get_mut(&which(&key)) {
                    row.business = business;
                    row.version = version;
                }
                continue;
            };
            let Fresh { call, glance, agent_name } = *fresh;
            view.note_agent(glance.agent.as_ref(), agent_name.as_ref());
            let row = Row {
                call,
                glance,
                business,
                version,
                partition,
            };
            view.calls.insert(which(&key), row);
        }
        for key in publication.gone {
            view.calls.remove(&which(&key));
            view.note_gone(version, key);
        }
        let mut shown = HashSet::new();
        for (business, partial) in publication.partials {
            match partial {
                Some(partial) => {
                    if is_all {
                        shown.insert(business);
                    }
                    view.partials.insert((business, partition), partial);
                }
                None => drop(view.partials.remove(&(business, partition))),
            }
        }
        if is_all {
            view.partials
                .retain(|(business, of), _| *of != partition || shown.contains(business));
            view.forget_rows(version, |row| row.partition == partition && row.version < version);
        }
        view.version.send_replace(version);
    }

    /// Takes the partition for an assignment: from now on nobody else publishes it. True when it is shown; that stays until the new owner
    /// [publishes](Hub::publish) all of it.
    pub(crate) fn begin_partition(&self, partition: u32, epoch: u64) -> bool {
        let is_shown = self.progress.begin(partition, epoch);
        self.set_asides.forget(partition);
        is_shown
    }

    /// Lets a partition go that was given away; nothing when a newer reader has it already.
    pub(crate) fn give_up_partition(&self, partition: u32, epoch: u64) {
        if !self.progress.leave(partition, epoch) {
            return;
        }
        self.set_asides.forget(partition);
        let views: Vec<Arc<TenantView>> = self.tenants.iter().map(|view| Arc::clone(&view)).collect();
        for view in views {
            let _order = view.order.lock().unwrap_or_else(PoisonError::into_inner);
            let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
            view.partials.retain(|(_, of), _| *of != partition);
            view.forget_rows(version, |row| row.partition == partition);
            view.version.send_replace(version);
        }
    }

    /// Drops boards that nobody looks at any more, and what was made of rows; called once a second.
    pub(crate) fn forget_unseen(&self, now: Millis) {
        for view in &self.tenants {
            view.boards.forget(now);
            view.looked_at.clear();
            view.looked_at.shrink_to_fit();
        }
    }

    /// Writes the gauges; called once a second.
    pub(crate) fn write_gauges(&self, now: Millis, partitions: u32) {
        if let Some(lag_ms) = self.progress.read(now, partitions).lag_ms {
            metrics::gauge!("trunkline_board_lag_seconds").set(lag_ms as f64 / 1_000.0);
        }
        for state in self.progress.states() {
            if let Some(checkpoint) = state.checkpoint {
                let age_ms = now.since(checkpoint.at).max(0);
                let partition = state.partition.to_string();
                metrics::gauge!("trunkline_checkpoint_age_seconds", "partition" => partition).set(age_ms as f64 / 1_000.0);
            }
        }
        let mut active = std::collections::BTreeMap::from([("inbound", 0u64), ("none", 0), ("outbound", 0)]);
        for view in &self.tenants {
            for row in &view.calls {
                if row.glance.state == CallState::Ongoing {
                    let direction = match row.glance.direction {
                        trunkline_core::facts::Direction::Inbound => "inbound",
                        trunkline_core::facts::Direction::Outbound => "outbound",
                        trunkline_core::facts::Direction::None => "none",
                    };
                    *active.entry(direction).or_default() += 1;
                }
            }
        }
        for (direction, count) in active {
            metrics::gauge!("trunkline_calls_active", "direction" => direction).set(count as f64);
        }
    }
}
