//! Builds calls and businesses anew after a death: the recipes, the quarantine of poisoned events, the bound.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use trunkline_core::call::Call;
use trunkline_core::id::{BusinessId, CallKey, TenantId, WorkspaceId};
use trunkline_core::metric::Partial;
use trunkline_core::record::SetAside;
use trunkline_stores::log::{LogRecord, Position};

use super::call_actor::{Endings, Settled, Stamped, apply};
use super::entry::Held;
use super::gather::{Said, say};
use super::limits::POISONED_MAX;
use super::partition::{Changes, Partition, Ward};
use super::set_aside::SetAsideNote;
use crate::system::{Bound, Deaths, Health, Verdict};

/// Pause between two tries to read a call's records from a log that does not answer.
const READ_AGAIN: Duration = Duration::from_millis(500);

impl Partition {
    /// Hears of a business's death. One that was dealt with already has an older generation.
    pub(crate) async fn hear(&mut self, (tenant, business): Ward, generation: u32) {
        let held = self.businesses.get(&(tenant, business));
        if held.is_some_and(|held| held.generation == generation && !held.mailbox.is_open()) {
            self.rebuild_business(tenant, business).await;
        }
    }

    /// Builds a call anew that was found dead when nothing was to be applied to it.
    pub(super) async fn revive(&mut self, key: &CallKey) {
        if let Some(settled) = self.rebuild_call(key, i64::MAX).await {
            let mut changes = Changes::new();
            self.settle(key, settled, &mut changes);
            self.fold(changes).await;
        }
    }

    /// Builds a call that died from its records. The endings of those from offset `from` on are counted. `None` when the call is
    /// given up.
    pub(super) async fn rebuild_call(&mut self, key: &CallKey, from: i64) -> Option<Settled> {
        let now = self.shared.clock.now();
        let entry = self.calls.get_mut(key)?;
        if matches!(entry.held, Held::GivenUp) {
            return None;
        }
        self.shared.call_role.count_death("panic");
        let deaths = entry.deaths.get_or_insert_with(|| Box::new(Deaths::new(Bound::ROLE)));
        match deaths.note(now) {
            Verdict::Rebuild(pause) if !pause.is_zero() => tokio::time::sleep(pause).await,
            Verdict::Rebuild(_) => {}
            Verdict::GiveUp => {
                self.give_up(key).await;
                return None;
            }
        }
        tracing::warn!(log.partition = self.number, "call actor died and is rebuilt from its records");
        self.build_anew(key, from).await
    }

    /// Folds a call's records, leaving out and setting aside what panics, and gives the result an actor.
    pub(super) async fn build_anew(&mut self, key: &CallKey, from: i64) -> Option<Settled> {
        let workspace = self.calls.get(key)?.workspace;
        let records = self.read_trail(key).await;
        let mut poisoned: Vec<i64> = Vec::new();
        let (call, settled) = loop {
            match fold_alone(key, workspace, &records, &poisoned, from, self.shared.faults.as_ref()) {
                Ok(done) => break done,
                Err(offset) => poisoned.push(offset),
            }
            if poisoned.len() > POISONED_MAX {
                self.quarantine(key, &records, &poisoned);
                self.give_up(key).await;
                return None;
            }
        };
        self.quarantine(key, &records, &poisoned);
        let line = self.start_call(Some(call));
        let entry = self.calls.get_mut(key)?;
        let was_live = std::mem::replace(&mut entry.held, Held::Live(line)).is_live();
        self.live += usize::from(!was_live);
        if !poisoned.is_empty() {
            tracing::warn!(
                log.partition = self.number,
                events.poisoned = poisoned.len(),
                "a call was built without events that panic"
            );
        }
        Some(settled)
    }

    /// The call's records, read from the log again; waits for a log that is away, because without it nothing else happens either.
    async fn read_trail(&self, key: &CallKey) -> Vec<LogRecord> {
        let offsets = self.calls.get(key).map(|entry| entry.trail.offsets()).unwrap_or_default();
        let mut records = Vec::with_capacity(offsets.len());
        for offset in offsets {
            loop {
                match self.shared.log.read(self.number, offset, 1).await {
                    Ok(found) => {
                        records.extend(found.into_iter().filter(|record| record.position.offset == offset));
                        break;
                    }
                    Err(trunkline_stores::log::LogError::Gone { .. }) => break,
                    Err(error) => {
                        tracing::warn!(log.partition = self.number, %error, "log does not answer while a call is rebuilt");
                        tokio::time::sleep(READ_AGAIN).await;
                    }
                }
            }
        }
        records
    }

    /// Sets poisoned events aside and remembers to leave them out.
    fn quarantine(&mut self, key: &CallKey, records: &[LogRecord], poisoned: &[i64]) {
        for record in records.iter().filter(|record| poisoned.contains(&record.position.offset)) {
            if let Said::Event { workspace, event, .. } = say(record) {
                self.set_poisoned_aside(key, workspace, &event, "applying it panicked");
            }
            if let Some(entry) = self.calls.get_mut(key) {
                entry.trail.poison(record.position.offset);
                self.unsaved.note(entry);
            }
        }
    }

    /// Sets the events of a call that was given up aside.
    pub(super) fn refuse(&mut self, key: &CallKey, workspace: WorkspaceId, events: &[Stamped]) {
        for event in events {
            self.set_poisoned_aside(key, workspace, event, "its call was given up");
        }
    }

    /// Sets an event aside, and its echoes, which have its name.
    fn set_poisoned_aside(&mut self, key: &CallKey, workspace: WorkspaceId, stamped: &Stamped, detail: &str) {
        let Stamped { offset, event, echoes } = stamped;
        let echoes = echoes.iter().map(|(offset, echo)| (*offset, echo.received_at()));
        for (offset, received_at) in echoes.chain([(*offset, event.received_at())]) {
            self.set_aside(SetAsideNote {
                position: Position {
                    partition: self.number,
                    offset,
                },
                reason: SetAside::Poisoned,
                tenant: Some(key.tenant),
                workspace: Some(workspace),
                event: event.name().to_owned(),
                key: key.id.to_string(),
                received_at,
                detail: Some(detail.to_owned()),
            });
        }
    }

    /// Takes a call that cannot be kept alive off the boards. Only this call: others do not notice.
    async fn give_up(&mut self, key: &CallKey) {
        let Some(entry) = self.calls.get_mut(key) else { return };
        let was_live = std::mem::replace(&mut entry.held, Held::GivenUp).is_live();
        self.live -= usize::from(was_live);
        self.unsaved.note(entry);
        entry.fresh = None;
        entry.state = None;
        let mut changes = Changes::new();
        let home = entry.home;
        entry.move_to(home, None, &mut changes);
        let dirty = self.dirty.entry(key.tenant).or_default();
        dirty.calls.remove(key);
        dirty.gone.insert(key.clone());
        tracing::error!(
            log.partition = self.number,
            "call actor died too often; the call is given up and its events are set aside"
        );
        metrics::counter!("trunkline_calls_given_up_total").increment(1);
        Box::pin(self.fold(changes)).await;
    }

    /// Builds a business's figures from the contributions of its calls.
    pub(super) async fn rebuild_business(&mut self, tenant: TenantId, business: BusinessId) {
        let now = self.shared.clock.now();
        let Some(held) = self.businesses.get_mut(&(tenant, business)) else {
            return;
        };
        let role = Arc::clone(&self.shared.business_role);
        match held.deaths.get_or_insert_with(|| Box::new(Deaths::new(Bound::ROLE))).note(now) {
            Verdict::Rebuild(pause) if !pause.is_zero() => tokio::time::sleep(pause).await,
            Verdict::Rebuild(_) => {}
            Verdict::GiveUp => {
                self.businesses.remove(&(tenant, business));
                role.tell(Health::Failed, Some("a business actor died too often".to_owned()));
                (self.shared.failure)(role.name());
                return;
            }
        }
        let mut partial = Partial::default();
        for entry in self.calls.iter() {
            if entry.key.tenant == tenant
                && entry.home == Some(business)
                && let Some(folded) = &entry.folded
            {
                partial.add(&folded.unpack());
            }
        }
        let generation = self.businesses.get(&(tenant, business)).map_or(0, |held| held.generation + 1);
        let mailbox = self.start_business(tenant, business, generation, partial);
        if let Some(held) = self.businesses.get_mut(&(tenant, business)) {
            held.mailbox = mailbox;
            held.generation = generation;
        }
        self.dirty.entry(tenant).or_default().businesses.insert(business);
        tracing::warn!(log.partition = self.number, "business actor rebuilt from its calls");
    }
}

/// Folds records one by one into a new call; `Err` names the first that panics.
fn fold_alone(
    key: &CallKey,
    workspace: WorkspaceId,
    records: &[LogRecord],
    left_out: &[i64],
    from: i64,
    faults: Option<&super::faults::Faults>,
) -> Result<(Arc<Call>, Settled), i64> {
    let mut call = Arc::new(Call::new(key.clone(), workspace));
    let mut endings = Endings::default();
    for record in records.iter().filter(|record| !left_out.contains(&record.position.offset)) {
        let Said::Event { event, .. } = say(record) else { continue };
        let offset = event.offset;
        let step = catch_unwind(AssertUnwindSafe(|| {
            let ended = apply(&mut call, std::slice::from_ref(&event), faults);
            // Whatever looks at the call afterwards must not be the first to meet a panic.
            Settled::of(&call, ended).endings
        }));
        let ended = step.map_err(|_| offset)?;
        if offset >= from {
            endings.add(ended);
        }
    }
    let settled = Settled::of(&call, endings);
    Ok((call, settled))
}
