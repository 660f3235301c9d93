//! What a partition knows of one of its calls, and what of that its business is told.

use std::sync::Arc;

use trunkline_core::facts::CallState;
use trunkline_core::id::{BusinessId, CallKey, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Contribution, PackedContribution};

use super::business_actor::Change;
use super::call_actor::CallActor;
use super::glance::{Fresh, Glance};
use super::kept::Stored;
use super::partition::Changes;
use super::trail::Trail;
use crate::system::{Deaths, Line};

/// Where a call's state is.
pub(super) enum Held {
    /// With its actor.
    Live(Line<CallActor>),
    /// As a checkpoint had it: it is on the lists, and its actor starts when something comes for it, or when nothing else is to be done.
    Stored(Arc<Stored>),
    /// Here, in its stored form: ended and idle. A late event wakes it.
    Idle(Box<Idle>),
    /// Nowhere: it was given up. Its events are set aside.
    GivenUp,
}

impl Held {
    /// The call has an actor, or will have one before long: it is no residue.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Held::Live(_) | Held::Stored(_))
    }
}

/// A call that has ended and left its actor.
pub(super) struct Idle {
    pub(super) glance: Glance,
    pub(super) agent_name: Option<Arc<str>>,
    /// [`trunkline_core::call::Call::encode`]d.
    pub(super) call: Box<[u8]>,
}

/// One call of this partition.
pub(super) struct Entry {
    pub(super) key: CallKey,
    pub(super) held: Held,
    pub(super) workspace: WorkspaceId,
    /// Where it stands; `None` while only undocumented events came.
    pub(super) state: Option<CallState>,
    /// A bridged transfer has not ended.
    pub(super) open_transfer: bool,
    /// What the hub has not seen yet.
    pub(super) fresh: Option<Box<Fresh>>,
    pub(super) home: Option<BusinessId>,
    pub(super) owner_agent: Option<Arc<str>>,
    pub(super) folded: Option<PackedContribution>,
    /// Latest receipt of any of its records, the reaper's included.
    pub(super) heard_at: Millis,
    pub(super) trail: Trail,
    pub(super) deaths: Option<Box<Deaths>>,
    pub(super) asked_at: Option<Millis>,
    /// It is on the list of calls that the next checkpoint stores.
    pub(super) unsaved: bool,
}

impl Entry {
    pub(super) fn new(key: CallKey, held: Held, workspace: WorkspaceId) -> Entry {
        Entry {
            key,
            held,
            workspace,
            state: None,
            open_transfer: false,
            fresh: None,
            home: None,
            owner_agent: None,
            folded: None,
            heard_at: Millis(0),
            trail: Trail::default(),
            deaths: None,
            asked_at: None,
            unsaved: false,
        }
    }

    /// Takes the old contribution from the old business and gives `new`, packed and, if it is at hand, as it was, to `home`; nothing when
    /// both are as they were.
    pub(super) fn move_to(
        &mut self,
        home: Option<BusinessId>,
        new: Option<(PackedContribution, Option<Contribution>)>,
        changes: &mut Changes,
    ) {
        let tenant = self.key.tenant;
        let (packed, new) = new.unzip();
        if self.home == home && self.folded == packed {
            return;
        }
        let old = std::mem::replace(&mut self.folded, packed).map(|old| old.unpack());
        let new = new.flatten().or_else(|| self.folded.as_ref().map(PackedContribution::unpack));
        let before = std::mem::replace(&mut self.home, home);
        if before == home {
            if let Some(home) = home {
                changes.entry((tenant, home)).or_default().push(Change { old, new });
            }
            return;
        }
        if let Some(before) = before
            && old.is_some()
        {
            changes.entry((tenant, before)).or_default().push(Change { old, new: None });
        }
        if let Some(home) = home {
            changes.entry((tenant, home)).or_default().push(Change { old: None, new });
        }
    }
}
