//! The calls and businesses of one partition: who lives here, and what a micro-batch does to them.
//!
//! The reader owns this and is the guardian of every actor in it: it holds their recipes (the trail of a call, the
//! contributions of a business) and hears of their deaths.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use actix::{Actor, Context};
use foldhash::fast::RandomState;
use futures::future::join_all;
use tokio::sync::mpsc;
use trunkline_core::call::Call;
use trunkline_core::id::{BusinessId, CallKey, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Partial, contribution};
use trunkline_stores::postgres::Directory;

use super::business_actor::{BusinessActor, Change, Close, Fold, Snapshot};
use super::call_actor::{ApplyBatch, CallActor, Endings, Receipt, Settled, Stamped};
use super::calls::Calls;
use super::entry::{Entry, Held};
use super::gather::{Gathered, Group};
use super::glance::{Fresh, Glance};
use super::hub::{NewRow, Publication};
use super::kept::Kept;
use super::set_aside::SetAsideNote;
use super::shared::Shared;
use super::unsaved::Unsaved;
use crate::system::{Deaths, Lifeline, Line, Mailbox, ask_all, deliver};

/// A business of which the reader is the guardian. Of a call it hears without a lifeline: see [`CallActor`].
pub(crate) type Ward = (TenantId, BusinessId);

pub(super) struct Business {
    pub(super) mailbox: Mailbox<BusinessActor>,
    pub(super) generation: u32,
    pub(super) deaths: Option<Box<Deaths>>,
}

#[derive(Default)]
pub(super) struct Dirty {
    pub(super) calls: HashSet<CallKey, RandomState>,
    pub(super) gone: HashSet<CallKey, RandomState>,
    pub(super) businesses: HashSet<BusinessId>,
}

pub(super) type Changes = HashMap<(TenantId, BusinessId), Vec<Change>>;

/// The state of one partition.
pub(crate) struct Partition {
    pub(super) number: u32,
    epoch: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Arc<Directory>,
    pub(super) calls: Calls,
    pub(super) live: usize,
    pub(super) businesses: HashMap<(TenantId, BusinessId), Business>,
    pub(super) dirty: HashMap<TenantId, Dirty>,
    pub(super) line: mpsc::UnboundedSender<(Ward, u32)>,
    /// What the next checkpoint has to store.
    pub(super) unsaved: Unsaved,
    /// Screens show the partition as it was before it was taken over. That stays until all that the log has is here as well.
    pub(super) is_shown_as_before: bool,
    /// Set-aside events below this offset have been noted, before a restart.
    pub(super) noted_below: i64,
    /// Where the words of calls are that were restored or woken without: the offset of a record, whose it is, and how many of its records before that
    /// one have been looked at.
    pub(super) wordless: BTreeMap<i64, (CallKey, usize)>,
}

impl Partition {
    pub(crate) fn new(
        number: u32,
        epoch: u64,
        shared: Arc<Shared>,
        directory: Arc<Directory>,
        line: mpsc::UnboundedSender<(Ward, u32)>,
    ) -> Self {
        let is_kept = shared.checkpoints.is_some();
        Partition {
            number,
            epoch,
            shared,
            directory,
            calls: Calls::default(),
            live: 0,
            businesses: HashMap::new(),
            dirty: HashMap::new(),
            line,
            unsaved: Unsaved::new(is_kept),
            is_shown_as_before: false,
            noted_below: 0,
            wordless: BTreeMap::new(),
        }
    }

    /// (calls with an actor, calls in compact form).
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.live, self.calls.len() - self.live)
    }

    /// Applies a micro-batch: to the calls, then to the businesses. Returns when everything has its receipt.
    pub(crate) async fn apply(&mut self, gathered: Gathered) -> Endings {
        for note in gathered.set_aside {
            self.set_aside(note);
        }
        let mut batches = Vec::with_capacity(gathered.groups.len());
        for Group {
            key,
            workspace,
            heard_at,
            events,
        } in gathered.groups
        {
            if self.reach(&key, workspace, heard_at, events.iter().flat_map(Stamped::offsets)) {
                let from = events.iter().flat_map(Stamped::offsets).next().unwrap_or(i64::MAX);
                let faults = self.shared.faults.clone();
                batches.push((key, from, ApplyBatch { events, faults }));
            } else {
                self.refuse(&key, workspace, &events);
            }
        }
        let mut whose = Vec::with_capacity(batches.len());
        let mut letters = Vec::with_capacity(batches.len());
        for (key, from, batch) in batches {
            let held = self.calls.get(&key).map(|entry| &entry.held);
            let is_live = matches!(held, Some(Held::Live(_)));
            if let Some(Held::Live(line)) = held {
                letters.push((line, batch));
            }
            whose.push((key, from, is_live));
        }
        let mut answers = ask_all(letters.into_iter()).await.into_iter();
        let mut changes = Changes::new();
        let mut endings = Endings::default();
        for (key, from, is_live) in whose {
            let answer = if is_live { answers.next() } else { None };
            let settled = match answer.and_then(Result::ok).unwrap_or(Receipt::Void) {
                Receipt::Settled(settled) => Some(*settled),
                Receipt::Void => self.rebuild_call(&key, from).await,
            };
            if let Some(settled) = settled {
                endings.add(settled.endings);
                self.settle(&key, settled, &mut changes);
            }
        }
        self.fold(changes).await;
        endings
    }

    /// Makes sure that the call has an actor, and notes where its records are. False when the call was given up.
    fn reach(&mut self, key: &CallKey, workspace: WorkspaceId, heard_at: Millis, offsets: impl Iterator<Item = i64>) -> bool {
        if !self.calls.contains(key) {
            let call = Arc::new(Call::new(key.clone(), workspace));
            let held = Held::Live(self.start_call(Some(call)));
            self.calls.insert(Entry::new(key.clone(), held, workspace));
            self.live += 1;
        }
        let entry = self.calls.get_mut(key).expect("entry was inserted above");
        entry.heard_at = entry.heard_at.max(heard_at);
        // The batch ends in something fresher; kept, it would cost a copy of the call.
        entry.fresh = None;
        for offset in offsets {
            entry.trail.push(offset);
        }
        self.unsaved.note(entry);
        match entry.held {
            Held::Live(_) => true,
            Held::Stored(_) | Held::Idle(_) => {
                self.wake(key);
                true
            }
            Held::GivenUp => false,
        }
    }

    /// Starts an actor for a call; without its state it answers that it has none, and its reader builds the call from its records.
    pub(super) fn start_call(&self, call: Option<Arc<Call>>) -> Line<CallActor> {
        Line::start(CallActor(call), Arc::clone(&self.shared.call_role))
    }

    /// Notes what was set aside, unless that was done before a restart.
    pub(super) fn set_aside(&mut self, note: SetAsideNote) {
        if note.position.offset >= self.noted_below {
            self.unsaved.set_asides = true;
            self.shared.hub.set_asides.add(note);
        }
    }

    /// Takes over what a call says after a batch, and notes what that changes for its business.
    pub(super) fn settle(&mut self, key: &CallKey, settled: Settled, changes: &mut Changes) {
        let Some(entry) = self.calls.get_mut(key) else { return };
        let facts = settled.facts;
        entry.workspace = facts.workspace;
        entry.owner_agent.clone_from(&facts.owner_agent);
        entry.asked_at = None;
        if !settled.exists {
            return;
        }
        let home = self
            .directory
            .business_of(key.tenant, entry.workspace, entry.owner_agent.as_deref());
        let now = contribution(&facts, &self.shared.rules);
        entry.move_to(home, Some((now.pack(), Some(now))), changes);
        entry.state = Some(facts.state);
        entry.open_transfer = facts.transfers.iter().any(|t| t.bridged_at.is_some() && t.ended_at.is_none());
        entry.fresh = Some(Box::new(Fresh {
            call: Kept::Whole(settled.call),
            glance: Glance::of(&facts),
            agent_name: facts.agent_name,
        }));
        let dirty = self.dirty.entry(key.tenant).or_default();
        dirty.gone.remove(key);
        dirty.calls.insert(key.clone());
    }

    /// Hands changes to the businesses and waits for their receipts.
    pub(super) async fn fold(&mut self, changes: Changes) {
        for (tenant, business) in changes.keys() {
            if self.businesses.contains_key(&(*tenant, *business)) {
                self.dirty.entry(*tenant).or_default().businesses.insert(*business);
            } else {
                self.open_business(*tenant, *business, Partial::default());
            }
        }
        let dead = {
            let businesses = &self.businesses;
            let deliveries = changes.into_iter().map(async |(whose, list)| {
                let receipt = deliver(&businesses[&whose].mailbox, Fold(list)).await;
                receipt.is_err().then_some(whose)
            });
            join_all(deliveries).await
        };
        for (tenant, business) in dead.into_iter().flatten() {
            self.rebuild_business(tenant, business).await;
        }
    }

    /// Gives a business its first actor, which has these figures.
    pub(super) fn open_business(&mut self, tenant: TenantId, business: BusinessId, figures: Partial) {
        let opened = Business {
            mailbox: self.start_business(tenant, business, 0, figures),
            generation: 0,
            deaths: None,
        };
        self.businesses.insert((tenant, business), opened);
        self.dirty.entry(tenant).or_default().businesses.insert(business);
    }

    pub(super) fn start_business(
        &self,
        tenant: TenantId,
        business: BusinessId,
        generation: u32,
        partial: Partial,
    ) -> Mailbox<BusinessActor> {
        let shared = &self.shared;
        let lifeline = Lifeline::new(self.line.clone(), (tenant, business), generation, Arc::clone(&shared.business_role));
        let faults = shared.faults.clone();
        let address = BusinessActor::create(move |_: &mut Context<BusinessActor>| BusinessActor::new(business, partial, lifeline, faults));
        Mailbox::new(address, Arc::clone(&shared.business_role))
    }

    /// Makes everything that changed visible to screens, and if somebody has shown the partition before, in its place.
    pub(crate) async fn publish(&mut self, now: Millis) {
        let mut publications = HashMap::new();
        let forget_before = now.plus(-self.shared.limits.horizon_ms);
        for (tenant, dirty) in std::mem::take(&mut self.dirty) {
            let mut publication = Publication {
                gone: dirty.gone.into_iter().collect(),
                ..Publication::default()
            };
            for key in dirty.calls {
                let Some(entry) = self.calls.get_mut(&key) else { continue };
                publication.rows.push(NewRow {
                    business: entry.home,
                    fresh: entry.fresh.take(),
                    key,
                });
            }
            for business in dirty.businesses {
                publication
                    .partials
                    .push((business, self.snapshot(tenant, business, forget_before).await));
            }
            publications.insert(tenant, publication);
        }
        // Nothing of it was published while screens showed it as before, so what changed is everything.
        let is_all = std::mem::take(&mut self.is_shown_as_before);
        self.shared.hub.publish(self.number, self.epoch, publications, is_all);
    }

    /// Sees to it that businesses without events forget old intervals too.
    pub(crate) fn touch_businesses(&mut self) {
        for (tenant, business) in self.businesses.keys() {
            self.dirty.entry(*tenant).or_default().businesses.insert(*business);
        }
    }

    /// A copy of one business's figures; `None` once it has no calls left.
    async fn snapshot(&mut self, tenant: TenantId, business: BusinessId, forget_before: Millis) -> Option<Arc<Partial>> {
        loop {
            let held = self.businesses.get(&(tenant, business))?;
            if let Ok(partial) = deliver(&held.mailbox, Snapshot { forget_before }).await {
                if !partial.is_empty() {
                    return Some(partial);
                }
                let _ = deliver(&held.mailbox, Close).await;
                self.businesses.remove(&(tenant, business));
                return None;
            }
            self.rebuild_business(tenant, business).await;
        }
    }
}
