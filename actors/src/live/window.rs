//! `Live`: what screens and the API ask. Every answer comes from a snapshot; nothing here waits for an actor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;
use trunkline_core::access::Sight;
use trunkline_core::facts::{CallState, Direction, Item};
use trunkline_core::id::{BusinessId, CallKey, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Board, Rules};
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::reconciler::Summary;

use super::board_cache::{BoardScope, Making};
use super::completeness::{Completeness, PartitionState};
use super::hub::{Hub, LiveCall, Row, TenantView};
use super::set_aside::SetAsideNote;
use crate::audit::AuditSummary;
use crate::system::{Clock, RoleState, Roles};

/// Which calls of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallScope {
    /// Whose calls the reader may see.
    pub sight: Sight,
    /// One business.
    pub business: Option<BusinessId>,
    /// One agent, by the merge rules.
    pub agent: Option<String>,
    /// Inbound or outbound.
    pub direction: Option<Direction>,
    /// With calls that ended and have not left memory yet.
    pub with_ended: bool,
}

impl CallScope {
    /// All calls in progress that a reader sees.
    pub fn whole(sight: Sight) -> Self {
        CallScope {
            sight,
            business: None,
            agent: None,
            direction: None,
            with_ended: false,
        }
    }

    fn holds(&self, row: &Row) -> bool {
        let glance = &row.glance;
        self.sight.sees(row.business, glance.agent.as_deref())
            && self.business.is_none_or(|business| row.business == Some(business))
            && self.agent.as_deref().is_none_or(|agent| glance.agent.as_deref() == Some(agent))
            && self.direction.is_none_or(|direction| glance.direction == direction)
            && (self.with_ended || glance.state != CallState::Ended)
    }
}

/// What changed in a tenant's calls since a version.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Ask from here next time.
    pub version: u64,
    /// True: `calls` is everything, forget what you have.
    pub whole: bool,
    /// Calls in the scope that are new or changed.
    pub calls: Vec<Arc<LiveCall>>,
    /// Calls that left memory, or changed out of the scope.
    pub gone: Vec<CallKey>,
}

/// What calls hold in memory by their own count, actors and tables not included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Calls in memory that are listed.
    pub calls: u64,
    /// Bytes of them, transcripts included.
    pub bytes: u64,
    /// Bytes of what was said.
    pub said_bytes: u64,
}

/// The window onto the live group. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    pub(crate) hub: Arc<Hub>,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) clock: Clock,
    pub(crate) roles: Roles,
    pub(crate) rules: Arc<Rules>,
    pub(crate) partitions: u32,
    pub(crate) quiet_ms: i64,
}

impl Live {
    /// The newest pulse.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// A clock for others that must not read the system's.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// One board, at most a pulse old (a second, if nothing changed).
    pub fn board(&self, tenant: TenantId, scope: &BoardScope) -> Arc<Board> {
        let view = self.hub.tenant(tenant);
        let directory = Arc::clone(&self.directory.borrow());
        let making = Making {
            tenant,
            view: &view,
            directory: &directory,
            rules: &self.rules,
            now: self.clock.now(),
            completeness: &|| self.with_audit(self.hub.progress.read(self.clock.now(), self.partitions)),
        };
        view.boards.board(scope, &making)
    }

    /// The calls of a scope, in no order.
    pub fn calls(&self, tenant: TenantId, scope: &CallScope) -> Vec<Arc<LiveCall>> {
        select(&self.hub.tenant(tenant), scope)
    }

    /// What changed in a scope since `since`; 0 asks for everything.
    pub fn changes(&self, tenant: TenantId, scope: &CallScope, since: u64) -> Changes {
        let view = self.hub.tenant(tenant);
        // Read first: what is published meanwhile comes again next time, and the same state twice does no harm.
        let version = *view.version.borrow();
        let gone = if since == 0 { None } else { view.gone_since(since) };
        let Some(mut gone) = gone else {
            return Changes {
                version,
                whole: true,
                calls: select(&view, scope),
                gone: Vec::new(),
            };
        };
        let mut calls = Vec::new();
        for row in view.rows(|row| row.version > since) {
            if scope.holds(&row) {
                calls.push(view.live_call(&row));
            } else {
                gone.push(row.call.key().clone());
            }
        }
        Changes {
            version,
            whole: false,
            calls,
            gone,
        }
    }

    /// One call that is in memory and in `sight`, with its transcript.
    pub fn call(&self, key: &CallKey, sight: &Sight) -> Option<(Arc<LiveCall>, Arc<[Item]>)> {
        let view = self.hub.tenant(key.tenant);
        let row = view.row(key)?;
        if !sight.sees(row.business, row.glance.agent.as_deref()) {
            return None;
        }
        self.hub.watch(&row, self.clock.now());
        Some((view.live_call(&row), row.call.call().transcript()))
    }

    /// What the listed calls of a tenant hold; walks over all of them.
    pub fn footprint(&self, tenant: TenantId) -> Footprint {
        let view = self.hub.tenant(tenant);
        view.calls.iter().fold(Footprint::default(), |sum, row| {
            let (bytes, said_bytes) = row.call.sizes();
            Footprint {
                calls: sum.calls + 1,
                bytes: sum.bytes + bytes as u64,
                said_bytes: sum.said_bytes + said_bytes as u64,
            }
        })
    }

    /// Rises with every publication for this tenant.
    pub fn version(&self, tenant: TenantId) -> u64 {
        *self.hub.tenant(tenant).version.borrow()
    }

    /// Wakes with every publication for this tenant; a slow receiver sees the newest version only.
    pub fn changed(&self, tenant: TenantId) -> watch::Receiver<u64> {
        self.hub.tenant(tenant).version.subscribe()
    }

    /// How complete the figures of a tenant are.
    pub fn completeness(&self, tenant: TenantId) -> Completeness {
        let now = self.clock.now();
        let mut completeness = self.hub.progress.read(now, self.partitions);
        let (open, presumed) = self.hub.tenant(tenant).without_end(now, self.quiet_ms);
        completeness.open_without_end = open;
        completeness.presumed_ended = presumed;
        completeness.set_aside = self.hub.set_asides.counts(Some(tenant));
        completeness.reconciled = self.hub.reconciled.load().get(&tenant).copied();
        self.with_audit(completeness)
    }

    /// What the auditor found and could not repair is missing somewhere, as an offset is that was not delivered.
    fn with_audit(&self, mut completeness: Completeness) -> Completeness {
        completeness.audited = self.hub.audited.load_full().map(|audited| (*audited).clone());
        let gaps = completeness.audited.as_ref().map(|audited| audited.gaps.clone());
        completeness.gaps.extend(gaps.unwrap_or_default());
        completeness
    }

    /// Takes what the auditor has found by now.
    pub(crate) fn note_audited(&self, found: AuditSummary) {
        self.hub.audited.store(Some(Arc::new(found)));
    }

    /// Takes what the reconciler has done by now, of all tenants.
    pub(crate) fn note_reconciled(&self, found: HashMap<TenantId, Summary>) {
        self.hub.reconciled.store(Arc::new(found));
    }

    /// The same for the operator: of the whole process.
    pub fn completeness_of_all(&self) -> Completeness {
        let mut completeness = self.hub.progress.read(self.clock.now(), self.partitions);
        completeness.set_aside = self.hub.set_asides.counts(None);
        self.with_audit(completeness)
    }

    /// How far each partition is.
    pub fn partitions(&self) -> Vec<PartitionState> {
        self.hub.progress.states()
    }

    /// The state of every role.
    pub fn role_states(&self) -> Vec<RoleState> {
        self.roles.states()
    }

    /// The state of every role as JSON.
    pub fn roles(&self) -> serde_json::Value {
        serde_json::to_value(self.roles.states()).unwrap_or_default()
    }

    /// The registry, for roles outside the live group.
    pub fn registry(&self) -> Roles {
        self.roles.clone()
    }

    /// The newest set-aside events, newest first; `None`: of all tenants.
    pub fn set_aside(&self, tenant: Option<TenantId>, limit: usize) -> Vec<SetAsideNote> {
        self.hub.set_asides.newest(tenant, limit)
    }

    /// Set-aside events by reason within the horizon; `None`: of all tenants.
    pub fn set_aside_counts(&self, tenant: Option<TenantId>) -> BTreeMap<&'static str, u64> {
        self.hub.set_asides.counts(tenant)
    }
}

fn select(view: &TenantView, scope: &CallScope) -> Vec<Arc<LiveCall>> {
    let rows = view.rows(|row| scope.holds(row));
    rows.iter().map(|row| view.live_call(row)).collect()
}
