//! Puts calls of a partition into their stored form.

use std::sync::Arc;

use trunkline_core::checkpoint::{Standing, StoredCall, StoredState};
use trunkline_core::id::CallKey;
use trunkline_stores::log::compacted::Put;

use super::call_actor::Look;
use super::entry::{Entry, Held};
use super::glance::Glance;
use super::kept::Kept;
use super::partition::Partition;
use crate::system::ask;

/// A call as its lists know it.
struct Picture {
    call: Kept,
    shown: Option<(Glance, Option<Arc<str>>)>,
}

impl Partition {
    /// Adds these calls as they are, with every record below `next` in them. Those that left memory are passed over.
    pub(super) async fn capture(&mut self, keys: &[CallKey], next: i64, puts: &mut Vec<Put>) {
        for key in keys {
            let picture = self.picture(key).await;
            let Some(entry) = self.calls.get_mut(key) else { continue };
            entry.unsaved = false;
            let (key, value) = entry.stored(key, next, picture.as_ref());
            puts.push(Put { key, value: Some(value) });
        }
    }

    /// A call on the lists, as it was published; `None` when its actor died, or it is not on the lists.
    async fn picture(&self, key: &CallKey) -> Option<Picture> {
        let entry = self.calls.get(key)?;
        if !entry.held.is_live() {
            return None;
        }
        if let Some(fresh) = &entry.fresh {
            return Some(Picture {
                call: fresh.call.clone(),
                shown: Some((fresh.glance.clone(), fresh.agent_name.clone())),
            });
        }
        if entry.state.is_some() {
            let view = self.shared.hub.tenant(key.tenant);
            if let Some(row) = view.row(key) {
                let agent_name = row.glance.agent.as_deref().and_then(|agent| view.agent_name(agent));
                return Some(Picture {
                    call: row.call,
                    shown: Some((row.glance, agent_name.map(Arc::from))),
                });
            }
        }
        // Not shown: only undocumented events came.
        let call = match &entry.held {
            Held::Live(line) => Kept::Whole(ask(line, Look).await.ok()??),
            Held::Stored(stored) => Kept::Stored(Arc::clone(stored)),
            Held::Idle(_) | Held::GivenUp => return None,
        };
        Some(Picture { call, shown: None })
    }
}

impl Entry {
    fn stored(&self, key: &CallKey, as_of: i64, picture: Option<&Picture>) -> (Vec<u8>, Vec<u8>) {
        let standing = |glance: &Glance, agent_name: &Option<Arc<str>>| {
            let contribution = self.folded.clone()?;
            Some(Standing {
                state: glance.state,
                direction: glance.direction,
                presumed_ended: glance.presumed_ended,
                open_transfer: self.open_transfer,
                last_received_at: glance.last_received_at,
                agent: glance.agent.clone(),
                agent_name: agent_name.clone(),
                contribution,
            })
        };
        let state = |idle: bool, standing: Option<Standing>, call| StoredState {
            idle,
            owner_agent: self.owner_agent.clone(),
            standing,
            call,
        };
        let encoded;
        let state = match (&self.held, picture) {
            // What its records make of it is for the next start to find out.
            _ if self.trail.is_poisoned() => None,
            (Held::Idle(idle), _) => {
                let standing = self.state.and_then(|_| standing(&idle.glance, &idle.agent_name));
                Some(state(true, standing, &*idle.call))
            }
            (Held::Live(_) | Held::Stored(_), Some(picture)) => {
                encoded = picture.call.encode();
                let standing = picture.shown.as_ref().and_then(|(glance, name)| standing(glance, name));
                Some(state(false, standing, &*encoded))
            }
            (Held::Live(_) | Held::Stored(_) | Held::GivenUp, _) => None,
        };
        let stored = StoredCall {
            as_of,
            workspace: self.workspace,
            heard_at: self.heard_at,
            trail: self.trail.all().collect(),
            state,
        };
        stored.encode(key)
    }
}
