//! What of a partition the next checkpoint has to store.

use trunkline_core::id::CallKey;

use super::entry::Entry;

/// What has changed since it was stored.
pub(super) struct Unsaved {
    /// False: nobody stores anything.
    is_kept: bool,
    pub(super) calls: Vec<CallKey>,
    pub(super) gone: Vec<CallKey>,
    pub(super) set_asides: bool,
}

impl Unsaved {
    pub(super) fn new(is_kept: bool) -> Unsaved {
        Unsaved {
            is_kept,
            calls: Vec::new(),
            gone: Vec::new(),
            set_asides: false,
        }
    }

    /// A call has changed.
    pub(super) fn note(&mut self, entry: &mut Entry) {
        if self.is_kept && !entry.unsaved {
            entry.unsaved = true;
            self.calls.push(entry.key.clone());
        }
    }

    /// A call has left memory.
    pub(super) fn forgotten(&mut self, key: CallKey) {
        if self.is_kept {
            self.gone.push(key);
        }
    }
}
