//! Takes a partition over: claims it, reads its newest checkpoint, and has its calls again as they were.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use trunkline_core::checkpoint::{self, Marker, Part, SetAsides, StoredCall, meaning};
use trunkline_core::id::{BusinessId, CallKey, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::Partial;
use trunkline_stores::log::LogError;
use trunkline_stores::log::compacted::{CompactedTopic, Kept};

use super::checkpoint::Found;
use super::completeness::Gap;
use super::entry::{Entry, Held, Idle};
use super::glance::{Fresh, Glance};
use super::kept::{self, Stored};
use super::partition::{Changes, Partition};
use super::shared::Checkpoints;

/// Calls that are built between two looks at what else is to be done on this thread.
const SLICE: usize = 256;

/// What the calls of each business add up to; in an order, so that a run with the same calls takes the same way.
type Figures = BTreeMap<(TenantId, BusinessId), Partial>;

/// What each agent is called by the call that was heard last.
type Names = HashMap<(TenantId, Arc<str>), (Millis, Arc<str>), RandomState>;

/// The newest value of each key, and whether it was written too late.
type Values = Vec<(Bytes, Bytes, bool)>;

/// Where a partition goes on after its calls are there again.
pub(super) struct Restored {
    pub(super) next: i64,
    pub(super) applied_to: Option<Millis>,
    pub(super) calls: usize,
}

/// A checkpoint that can be used.
struct Usable<'a> {
    marker: Marker,
    /// From here on records have to be applied: earlier than the marker says when a stale owner has overwritten calls.
    next: i64,
    set_asides: Option<SetAsides>,
    calls: Vec<(CallKey, StoredCall<'a>, bool)>,
}

/// Reads what the topic holds of a partition, under a new claim.
async fn take_over(topic: &Arc<dyn CompactedTopic>, partition: u32) -> Result<(i64, Values), LogError> {
    let claim = topic.claim(partition).await?;
    let mut reading = topic.read(partition, claim).await?;
    let mut values = Values::default();
    while let Some(portion) = reading.recv().await {
        let there = |kept: Kept| Some((kept.key, kept.value?, kept.late));
        values.extend(portion?.into_iter().filter_map(there));
    }
    Ok((claim, values))
}

impl Partition {
    /// Claims the partition and restores its newest checkpoint. Without one that can be used, `None` comes with what was found: the log
    /// has everything.
    pub(super) async fn restore(&mut self, checkpoints: &Checkpoints, distrusts: bool) -> Result<(Found, Option<Restored>), LogError> {
        let topic = checkpoints.topic(&self.shared.log).await?;
        let (claim, values) = take_over(&topic, self.number).await?;
        let mut found = Found {
            topic,
            claim,
            marked: 0,
            useless: Vec::new(),
        };
        let usable = if distrusts {
            Err("the start before died over it".to_owned())
        } else {
            self.usable(&values).await?
        };
        match usable {
            Ok(usable) => {
                found.marked = usable.marker.next;
                let restored = self.build(usable).await;
                Ok((found, Some(restored)))
            }
            Err(why) => {
                if !values.is_empty() {
                    tracing::warn!(
                        log.partition = self.number,
                        why,
                        "the checkpoint is not used; the log is read instead"
                    );
                    metrics::counter!("trunkline_checkpoints_refused_total").increment(1);
                }
                found.useless = values.into_iter().map(|(key, ..)| key.to_vec()).collect();
                // Taken from the end: the marker goes first.
                found.useless.sort_unstable_by(|one, other| {
                    let last = |key: &Vec<u8>| *key == checkpoint::marker_key();
                    last(one).cmp(&last(other)).then_with(|| one.cmp(other))
                });
                Ok((found, None))
            }
        }
    }

    /// Reads all parts and sees whether they are one checkpoint of this log. The reason, if not.
    async fn usable<'a>(&self, values: &'a Values) -> Result<Result<Usable<'a>, String>, LogError> {
        let mut calls = Vec::with_capacity(values.len());
        let (mut marker, mut set_asides, mut next) = (None, None, i64::MAX);
        let mut is_late = false;
        for (key, value, late) in values {
            match checkpoint::read(key, value) {
                Ok(Part::Call(key, call)) => {
                    if *late {
                        next = next.min(call.as_of);
                    }
                    calls.push((key, call, *late));
                }
                Ok(Part::SetAsides(noted)) => {
                    if *late {
                        next = next.min(noted.as_of);
                    }
                    set_asides = Some(noted);
                }
                Ok(Part::Marker(found)) => (marker, is_late) = (Some(found), *late),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        let Some(marker) = marker else {
            return Ok(Err("it has no marker".to_owned()));
        };
        next = next.min(marker.next);
        let horizon = self.shared.clock.now().plus(-self.shared.limits.horizon_ms);
        // Usually the moment tells, and the log need not be asked.
        let is_fresh = next == marker.next && marker.applied_to.is_some_and(|at| at >= horizon);
        let (begins, end) = self.shared.log.span(self.number).await?;
        let why = if marker.log != self.shared.log.identity() {
            "it is of another log"
        } else if marker.meaning != meaning(&self.shared.rules) {
            "its figures were made by other rules or another version"
        } else if is_late {
            // It tells of what the stale owner wrote, and the owner after it may have begun to remove that.
            "it was closed by an owner that had lost the partition"
        } else if (calls.len() as u64) < marker.calls {
            "calls are missing"
        } else if next > end {
            "the log ends before it"
        } else if next < begins || !is_fresh && next < self.shared.log.offset_at(self.number, horizon).await? {
            "it is older than what is read without it"
        } else {
            return Ok(Ok(Usable {
                marker,
                next,
                set_asides,
                calls,
            }));
        };
        Ok(Err(why.to_owned()))
    }

    async fn build(&mut self, usable: Usable<'_>) -> Restored {
        let mut figures = Figures::new();
        let mut names = Names::default();
        let (mut unbuilt, mut overwritten) = (Vec::new(), Vec::new());
        let restored = Restored {
            next: usable.next,
            applied_to: usable.marker.applied_to,
            calls: usable.calls.len(),
        };
        for (place, (key, stored, late)) in usable.calls.into_iter().enumerate() {
            if let Some(standing) = stored.state.as_ref().and_then(|state| state.standing.as_ref())
                && let (Some(agent), Some(name)) = (&standing.agent, &standing.agent_name)
            {
                let newest = names
                    .entry((key.tenant, Arc::clone(agent)))
                    .or_insert((stored.heard_at, Arc::clone(name)));
                if newest.0 < stored.heard_at {
                    *newest = (stored.heard_at, Arc::clone(name));
                }
            }
            if !self.enter(&key, stored, &mut figures) {
                unbuilt.push(key.clone());
            }
            if late {
                overwritten.push(key);
            }
            if place % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
        }
        for ((tenant, business), partial) in figures {
            self.open_business(tenant, business, partial);
        }
        if let Some(noted) = usable.set_asides {
            self.noted_below = noted.as_of;
            self.shared.hub.set_asides.restore(self.number, noted);
        }
        for (first, last) in usable.marker.gaps {
            self.shared.hub.progress.gap(Gap {
                partition: self.number,
                first,
                last,
            });
        }
        overwritten.sort_unstable();
        overwritten.iter().for_each(|key| self.note_unsaved(key));
        unbuilt.sort_unstable();
        for key in unbuilt {
            self.note_unsaved(&key);
            if let Some(settled) = self.build_anew(&key, i64::MAX).await {
                let mut changes = Changes::new();
                self.settle(&key, settled, &mut changes);
                self.fold(changes).await;
            }
        }
        if !self.is_shown_as_before {
            self.publish(self.shared.clock.now()).await;
        }
        for ((tenant, agent), (_, name)) in names {
            self.shared.hub.tenant(tenant).note_agent(Some(&agent), Some(&name));
        }
        restored
    }

    fn note_unsaved(&mut self, key: &CallKey) {
        if let Some(entry) = self.calls.get_mut(key) {
            self.unsaved.note(entry);
        }
    }

    /// Has a call again; false when its records have to make it.
    fn enter(&mut self, key: &CallKey, stored: StoredCall<'_>, figures: &mut Figures) -> bool {
        let mut entry = Entry::new(key.clone(), Held::GivenUp, stored.workspace);
        entry.heard_at = stored.heard_at;
        for offset in &stored.trail {
            entry.trail.push(*offset);
        }
        let Some(state) = stored.state else {
            self.calls.insert(entry);
            return false;
        };
        let call = (!state.idle).then(|| {
            Arc::new(Stored {
                key: key.clone(),
                workspace: entry.workspace,
                bytes: state.call.into(),
            })
        });
        entry.owner_agent.clone_from(&state.owner_agent);
        let mut shown = None;
        if let Some(standing) = state.standing {
            let home = self
                .directory
                .business_of(key.tenant, entry.workspace, entry.owner_agent.as_deref());
            entry.state = Some(standing.state);
            entry.open_transfer = standing.open_transfer;
            entry.home = home;
            if let Some(home) = home {
                let figures = figures.entry((key.tenant, home)).or_default();
                figures.add(&standing.contribution.unpack());
            }
            entry.folded = Some(standing.contribution);
            let glance = Glance {
                agent: standing.agent,
                last_received_at: standing.last_received_at,
                state: standing.state,
                direction: standing.direction,
                presumed_ended: standing.presumed_ended,
            };
            shown = Some((glance, standing.agent_name));
        }
        match call {
            Some(call) => {
                if let Some(last) = stored.trail.last() {
                    self.wordless.insert(*last, (key.clone(), 0));
                }
                if let Some((glance, agent_name)) = shown {
                    let call = kept::Kept::Stored(Arc::clone(&call));
                    entry.fresh = Some(Box::new(Fresh { call, glance, agent_name }));
                    self.dirty.entry(key.tenant).or_default().calls.insert(key.clone());
                }
                entry.held = Held::Stored(call);
                self.live += 1;
            }
            None => {
                let (glance, agent_name) = shown.unwrap_or_else(|| (Glance::unknown(entry.heard_at), None));
                entry.held = Held::Idle(Box::new(Idle {
                    glance,
                    agent_name,
                    call: state.call.into(),
                }));
                entry.trail.shrink();
            }
        }
        self.calls.insert(entry);
        true
    }
}
