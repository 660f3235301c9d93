//! Idle ended calls: out of their actors after their grace, kept compact for late events, forgotten at the horizon.

use std::sync::Arc;

use trunkline_core::call::Call;
use trunkline_core::facts::CallState;
use trunkline_core::id::CallKey;
use trunkline_core::instant::Millis;
use trunkline_core::metric::INTERVAL_MS;

use super::call_actor::Retire;
use super::entry::{Entry, Held, Idle};
use super::glance::Glance;
use super::limits::{ASK_AGAIN_MS, Limits};
use super::partition::Partition;
use super::reaper::Silent;
use crate::system::ask;

/// What a sweep found to do.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// Calls in progress that have been silent for too long.
    pub(crate) silent: Vec<Silent>,
    /// Some calls left their actors, or were forgotten.
    pub(crate) moved: bool,
}

impl Partition {
    /// Looks for calls to retire, to forget, and to ask for. `now` is log time while the log is being read back.
    pub(crate) async fn sweep(&mut self, now: Millis, reap: bool) -> Sweep {
        let limits = self.shared.limits;
        let mut sweep = Sweep::default();
        let mut retire = Vec::new();
        let mut forget = Vec::new();
        for entry in self.calls.iter_mut() {
            let key = &entry.key;
            match &entry.held {
                Held::Live(_) | Held::Stored(_) if entry.is_over(now, &limits) => retire.push(key.clone()),
                Held::Live(_) | Held::Stored(_) if reap && entry.wants_asking(now, &limits) => {
                    entry.asked_at = Some(now);
                    sweep.silent.push(Silent {
                        key: key.clone(),
                        workspace: entry.workspace,
                        since: entry.heard_at,
                    });
                }
                Held::Live(_) | Held::Stored(_) => {}
                Held::Idle(_) | Held::GivenUp => {
                    // Two intervals more than the figures keep, so that a business rebuilt from its calls misses none.
                    if now.since(entry.heard_at) > limits.horizon_ms + 2 * INTERVAL_MS {
                        forget.push(key.clone());
                    }
                }
            }
        }
        // A table has no order, and two runs over the same log are to do the same things one after the other.
        retire.sort_unstable();
        forget.sort_unstable();
        sweep.silent.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        sweep.moved = !retire.is_empty() || !forget.is_empty();
        for key in retire {
            self.retire(&key).await;
        }
        for key in forget {
            self.calls.remove(&key);
            self.unsaved.forgotten(key);
        }
        sweep
    }

    /// Ends a call's actor; the call stays here in compact form, its figures stay with its business.
    async fn retire(&mut self, key: &CallKey) {
        self.start_stored(key);
        let Some(Held::Live(line)) = self.calls.get(key).map(|entry| &entry.held) else {
            return;
        };
        let Ok(Some(mut call)) = ask(line, Retire).await else {
            // It died; the next sweep retires what is rebuilt now.
            return self.revive(key).await;
        };
        Arc::make_mut(&mut call).compact();
        let facts = call.facts_without_events();
        let Some(entry) = self.calls.get_mut(key) else { return };
        entry.held = Held::Idle(Box::new(Idle {
            glance: Glance::of(&facts),
            agent_name: facts.agent_name,
            call: call.encode(),
        }));
        self.unsaved.note(entry);
        entry.fresh = None;
        entry.trail.shrink();
        self.live -= 1;
        let dirty = self.dirty.entry(key.tenant).or_default();
        dirty.calls.remove(key);
        dirty.gone.insert(key.clone());
    }

    /// Gives a call that has none an actor, because something came for it.
    pub(super) fn wake(&mut self, key: &CallKey) {
        let Some(entry) = self.calls.get(key) else { return };
        let Held::Idle(idle) = &entry.held else {
            return self.start_stored(key);
        };
        let call = Call::decode(key.clone(), &idle.call);
        if call.as_ref().is_some_and(Call::lacks_text)
            && let Some(last) = entry.trail.all().next_back()
        {
            self.wordless.insert(last, (key.clone(), 0));
        }
        self.hold(key, call);
        self.live += 1;
        metrics::counter!("trunkline_calls_woken_total").increment(1);
    }

    /// Gives a call its actor that is still as it was restored. It counts as live since then, and is among those whose words are missing.
    pub(super) fn start_stored(&mut self, key: &CallKey) {
        if let Some(Held::Stored(stored)) = self.calls.get(key).map(|entry| &entry.held) {
            let call = stored.call();
            self.hold(key, call);
        }
    }

    fn hold(&mut self, key: &CallKey, call: Option<Call>) {
        let line = self.start_call(call.map(Arc::new));
        if let Some(entry) = self.calls.get_mut(key) {
            entry.held = Held::Live(line);
        }
    }
}

impl Entry {
    /// It is on the lists, or will be with the next publication.
    pub(super) fn is_shown(&self) -> bool {
        self.held.is_live() && self.state.is_some()
    }

    /// Ended, and nothing more is expected: retire it.
    fn is_over(&self, now: Millis, limits: &Limits) -> bool {
        let Some(state) = self.state else {
            // Only undocumented events came: no call, but they are kept for one that may come to exist.
            return now.since(self.heard_at) >= limits.grace_ms;
        };
        if state != CallState::Ended {
            return false;
        }
        let grace_ms = if self.open_transfer {
            limits.transfer_grace_ms
        } else {
            limits.grace_ms
        };
        now.since(self.heard_at) >= grace_ms
    }

    /// In progress, silent for too long, and not asked for lately.
    fn wants_asking(&self, now: Millis, limits: &Limits) -> bool {
        let Some(state) = self.state else { return false };
        let silence_ms = match state {
            CallState::Registered => limits.registered_silence_ms,
            CallState::Ongoing => limits.silence_ms,
            CallState::Ended => return false,
        };
        let asked_lately = self.asked_at.is_some_and(|at| now.since(at) < ASK_AGAIN_MS);
        now.since(self.heard_at) >= silence_ms && !asked_lately
    }
}
