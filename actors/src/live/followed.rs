//! One partition that another process reads, as its checkpoints tell of it: its calls, the figures they add up to, and how complete it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use trunkline_core::call::Call;
use trunkline_core::checkpoint::{Marker, StoredCall, call_key};
use trunkline_core::event::{Reading, read};
use trunkline_core::id::{BusinessId, CallKey, TenantId, WorkspaceId};
use trunkline_core::metric::{PackedContribution, Partial};
use trunkline_core::record::Record;
use trunkline_stores::log::LogRecord;
use trunkline_stores::postgres::Directory;

use super::completeness::{FOLLOWED, Gap, Step};
use super::glance::{Fresh, Glance};
use super::hub::{NewRow, Publication};
use super::kept::{Kept, Stored};
use super::shared::Shared;

/// Records read at once to find those of some calls: they stand close together while calls run.
const READ_AT_ONCE: usize = 512;
/// Reads at a time: what comes meanwhile waits. The rest follows with the next look.
const READS_MAX: usize = 8;

/// A call of the partition.
struct Known {
    workspace: WorkspaceId,
    owner_agent: Option<Arc<str>>,
    home: Option<BusinessId>,
    contribution: Option<PackedContribution>,
    /// Offsets of its records.
    trail: Vec<i64>,
    /// As lists show it; `None` when they do not.
    shown: Option<Shown>,
    round: u32,
}

struct Shown {
    call: Kept,
    glance: Glance,
    agent_name: Option<Arc<str>>,
    /// With words, as of so many records; while somebody looks at it.
    spoken: Option<(Call, usize)>,
}

impl Shown {
    fn fresh(&self) -> Box<Fresh> {
        Box::new(Fresh {
            call: self.call.clone(),
            glance: self.glance.clone(),
            agent_name: self.agent_name.clone(),
        })
    }
}

/// What changed since the last publication.
#[derive(Default)]
struct Dirty {
    rows: HashSet<CallKey>,
    gone: HashSet<CallKey>,
    businesses: BTreeSet<BusinessId>,
}

/// The partition.
pub(super) struct Model {
    pub(super) partition: u32,
    calls: HashMap<CallKey, Known>,
    /// Keys as they are stored, to know what is removed.
    keys: HashMap<Vec<u8>, CallKey>,
    partials: HashMap<(TenantId, BusinessId), Partial>,
    dirty: HashMap<TenantId, Dirty>,
    marker: Option<Marker>,
    round: u32,
    /// All that was there when it was begun to be followed has been read.
    is_whole: bool,
    /// The log ends where the marker says.
    is_current: bool,
    /// Others may have shown the partition before: the next publication is of everything.
    publishes_all: bool,
}

impl Model {
    pub(super) fn new(partition: u32) -> Model {
        Model {
            partition,
            calls: HashMap::new(),
            keys: HashMap::new(),
            partials: HashMap::new(),
            dirty: HashMap::new(),
            marker: None,
            round: 0,
            is_whole: false,
            is_current: false,
            publishes_all: false,
        }
    }

    /// Everything comes again; what is known stays until then.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Everything has come: what did not come has been removed meanwhile.
    pub(super) fn end_round(&mut self) {
        let old: Vec<Vec<u8>> = self
            .keys
            .iter()
            .filter(|(_, key)| self.calls.get(*key).is_none_or(|known| known.round < self.round))
            .map(|(stored, _)| stored.clone())
            .collect();
        for key in old {
            self.remove(&key);
        }
        self.is_whole = true;
    }

    pub(super) fn mark(&mut self, marker: Marker) {
        // The epoch tells owners apart, and the offset the checkpoints of one.
        let place = |marker: &Marker| (marker.epoch, marker.next);
        if self.marker.as_ref().is_none_or(|before| place(before) <= place(&marker)) {
            self.marker = Some(marker);
        }
    }

    /// The call as its owner has it now. What a stale owner wrote counts only where nothing else is known.
    pub(super) fn put(&mut self, key: CallKey, stored: StoredCall<'_>, late: bool, directory: &Directory) {
        if let Some(known) = self.calls.get_mut(&key).filter(|_| late) {
            known.round = self.round;
            return;
        }
        let before = self.calls.remove(&key);
        let mut known = Known {
            workspace: stored.workspace,
            owner_agent: None,
            home: None,
            contribution: None,
            trail: stored.trail,
            shown: None,
            round: self.round,
        };
        if let Some(state) = stored.state {
            known.owner_agent = state.owner_agent;
            if let Some(standing) = state.standing {
                known.home = directory.business_of(key.tenant, known.workspace, known.owner_agent.as_deref());
                let glance = Glance {
                    agent: standing.agent,
                    last_received_at: standing.last_received_at,
                    state: standing.state,
                    direction: standing.direction,
                    presumed_ended: standing.presumed_ended,
                };
                known.contribution = Some(standing.contribution);
                let stored = Stored {
                    key: key.clone(),
                    workspace: known.workspace,
                    bytes: state.call.into(),
                };
                known.shown = (!state.idle).then(|| Shown {
                    call: Kept::Stored(Arc::new(stored)),
                    glance,
                    agent_name: standing.agent_name,
                    spoken: None,
                });
            }
        }
        let dirty = self.dirty.entry(key.tenant).or_default();
        match (&mut known.shown, before.as_ref().and_then(|before| before.shown.as_ref())) {
            (Some(shown), was) => {
                // Its words are brought up to date from where they are.
                shown.spoken = was.and_then(|was| was.spoken.clone());
                dirty.rows.insert(key.clone());
                dirty.gone.remove(&key);
            }
            (None, Some(_)) => {
                dirty.rows.remove(&key);
                dirty.gone.insert(key.clone());
            }
            (None, None) => {}
        }
        let old = before.and_then(|before| before.home.zip(before.contribution));
        let new = known.home.zip(known.contribution.clone());
        self.keys.insert(call_key(&key), key.clone());
        self.shift(key.tenant, old, new);
        self.calls.insert(key, known);
    }

    /// Takes the old contribution from its business and gives the new one.
    fn shift(&mut self, tenant: TenantId, old: Option<(BusinessId, PackedContribution)>, new: Option<(BusinessId, PackedContribution)>) {
        if old == new {
            return;
        }
        if let Some((business, contribution)) = old {
            self.partial(tenant, business).subtract(&contribution.unpack());
        }
        if let Some((business, contribution)) = new {
            self.partial(tenant, business).add(&contribution.unpack());
        }
    }

    fn partial(&mut self, tenant: TenantId, business: BusinessId) -> &mut Partial {
        self.dirty.entry(tenant).or_default().businesses.insert(business);
        self.partials.entry((tenant, business)).or_default()
    }

    /// A key that is not kept any more.
    pub(super) fn remove(&mut self, stored: &[u8]) {
        let Some(key) = self.keys.remove(stored) else {
            // The marker goes first when its owner begins anew.
            if stored == trunkline_core::checkpoint::marker_key() {
                self.marker = None;
            }
            return;
        };
        let Some(known) = self.calls.remove(&key) else { return };
        if known.shown.is_some() {
            let dirty = self.dirty.entry(key.tenant).or_default();
            dirty.rows.remove(&key);
            dirty.gone.insert(key.clone());
        }
        self.shift(key.tenant, known.home.zip(known.contribution), None);
    }

    /// Moves calls to the businesses that the directory names now.
    pub(super) fn rehome(&mut self, directory: &Directory) {
        let mut moved = Vec::new();
        for (key, known) in &mut self.calls {
            let Some(contribution) = known.contribution.clone() else { continue };
            let home = directory.business_of(key.tenant, known.workspace, known.owner_agent.as_deref());
            let before = std::mem::replace(&mut known.home, home);
            if before != home {
                let change = |home: Option<BusinessId>| home.map(|home| (home, contribution.clone()));
                moved.push((key.clone(), change(before), change(home)));
            }
        }
        for (key, old, new) in moved {
            self.shift(key.tenant, old, new);
            if self.calls.get(&key).is_some_and(|known| known.shown.is_some()) {
                self.dirty.entry(key.tenant).or_default().rows.insert(key);
            }
        }
    }

    /// Notes how complete it is, when the log ends at `end`.
    pub(super) fn look(&mut self, shared: &Shared, end: i64) {
        let progress = &shared.hub.progress;
        let Some(marker) = self.marker.clone().filter(|_| self.is_whole) else {
            return;
        };
        self.is_current = marker.next >= end;
        if progress.follow(self.partition, marker.next) {
            self.publishes_all = true;
            for (first, last) in &marker.gaps {
                progress.gap(Gap {
                    partition: self.partition,
                    first: *first,
                    last: *last,
                });
            }
        }
        // What the marker counts is shown before it is said to be there.
        self.publish(shared);
        let step = Step {
            next: marker.next,
            applied_to: marker.applied_to,
            current: self.is_current,
            calls: self.calls.values().filter(|known| known.shown.is_some()).count(),
            residue: self.calls.values().filter(|known| known.shown.is_none()).count(),
        };
        progress.step(self.partition, FOLLOWED, step);
        progress.has_been_whole(self.partition, FOLLOWED);
    }

    /// Makes what changed visible, as a reader does; nothing before all of it was there once.
    pub(super) fn publish(&mut self, shared: &Shared) {
        if !self.is_whole || !shared.hub.progress.holds(self.partition, FOLLOWED) {
            return;
        }
        if self.publishes_all {
            self.all_is_dirty();
        }
        let forget_before = shared.clock.now().plus(-shared.limits.horizon_ms);
        let mut publications = HashMap::new();
        for (tenant, dirty) in std::mem::take(&mut self.dirty) {
            let mut publication = Publication::default();
            for key in dirty.rows {
                let Some(known) = self.calls.get(&key) else { continue };
                publication.rows.push(NewRow {
                    business: known.home,
                    fresh: known.shown.as_ref().map(Shown::fresh),
                    key,
                });
            }
            publication.gone = dirty.gone.into_iter().collect();
            for business in dirty.businesses {
                let Some(partial) = self.partials.get_mut(&(tenant, business)) else {
                    continue;
                };
                partial.forget(forget_before);
                let shown = (!partial.is_empty()).then(|| Arc::new(partial.clone()));
                if shown.is_none() {
                    self.partials.remove(&(tenant, business));
                }
                publication.partials.push((business, shown));
            }
            publications.insert(tenant, publication);
        }
        let is_all = std::mem::take(&mut self.publishes_all);
        shared.hub.publish(self.partition, FOLLOWED, publications, is_all);
    }

    fn all_is_dirty(&mut self) {
        let shown = self.calls.iter().filter(|(_, known)| known.shown.is_some());
        for (key, _) in shown {
            self.dirty.entry(key.tenant).or_default().rows.insert(key.clone());
        }
        for (tenant, business) in self.partials.keys() {
            self.dirty.entry(*tenant).or_default().businesses.insert(*business);
        }
    }

    /// Brings back the words of calls that somebody looks at, from their records in the log: all of them with one sweep.
    pub(super) async fn recall(&mut self, shared: &Shared, watched: &[CallKey]) {
        let mut wanted: BTreeMap<i64, CallKey> = BTreeMap::new();
        for key in watched {
            let Some(known) = self.calls.get_mut(key) else { continue };
            let Some(shown) = known.shown.as_mut() else { continue };
            let spoken = shown.spoken.take().filter(|(_, done)| *done <= known.trail.len());
            let (call, done) = spoken.unwrap_or_else(|| (Arc::unwrap_or_clone(shown.call.call()), 0));
            wanted.extend(known.trail[done..].iter().map(|offset| (*offset, key.clone())));
            shown.spoken = Some((call, done));
        }
        for _ in 0..READS_MAX {
            let Some(from) = wanted.keys().next().copied() else { break };
            let records = match shared.log.read(self.partition, from, READ_AT_ONCE).await {
                Ok(records) if !records.is_empty() => records,
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(log.partition = self.partition, %error, "the words of calls cannot be read");
                    break;
                }
            };
            let end = records.last().map_or(from, |record| record.position.offset) + 1;
            for record in records {
                if let Some(key) = wanted.remove(&record.position.offset) {
                    self.hear(&key, &record);
                }
            }
            wanted = wanted.split_off(&end);
        }
        for key in watched {
            let Some(known) = self.calls.get_mut(key) else { continue };
            let Some(shown) = known.shown.as_mut() else { continue };
            let is_told = |(_, done): &&(Call, usize)| *done == known.trail.len();
            if let Some((call, _)) = shown.spoken.as_ref().filter(is_told)
                && shown.call.lacks_text()
            {
                shown.call = Kept::Whole(Arc::new(call.clone()));
                self.dirty.entry(key.tenant).or_default().rows.insert(key.clone());
            }
        }
    }

    /// Applies one more record of a call to what is known of its words.
    fn hear(&mut self, key: &CallKey, record: &LogRecord) {
        let spoken = self.calls.get_mut(key).and_then(|known| known.shown.as_mut()?.spoken.as_mut());
        let Some((call, done)) = spoken else { return };
        *done += 1;
        let Ok(record) = Record::decode(&record.bytes) else { return };
        // One that panics was set aside by the owner.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Reading::Event(event) = read(&record) {
                call.apply(&event);
            }
        }));
    }
}
