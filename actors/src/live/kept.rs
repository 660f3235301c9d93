//! A call as lists have it: as its actor shared it, or still as a checkpoint had it.

use std::borrow::Cow;
use std::sync::Arc;

use trunkline_core::call::Call;
use trunkline_core::id::{CallKey, WorkspaceId};

/// A call in progress, or one that ended a moment ago. Cheap to copy.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// Shared with its actor until the next event.
    Whole(Arc<Call>),
    /// Restored, and nothing has come for it since. After a restart there are very many of these at once, and few are looked at before their
    /// next event.
    Stored(Arc<Stored>),
}

/// What [`Call::encode`] wrote of a call.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: CallKey,
    pub(crate) workspace: WorkspaceId,
    pub(crate) bytes: Box<[u8]>,
}

impl Stored {
    /// The call without its words; `None` when it was written by a version that wrote otherwise.
    pub(crate) fn call(&self) -> Option<Call> {
        Call::decode(self.key.clone(), &self.bytes)
    }
}

impl Kept {
    pub(crate) fn key(&self) -> &CallKey {
        match self {
            Kept::Whole(call) => call.key(),
            Kept::Stored(stored) => &stored.key,
        }
    }

    /// The call to look at. One that cannot be read is as if nothing had come for it, until its records have made it.
    pub(crate) fn call(&self) -> Arc<Call> {
        match self {
            Kept::Whole(call) => Arc::clone(call),
            Kept::Stored(stored) => {
                let nothing = || Call::new(stored.key.clone(), stored.workspace);
                Arc::new(stored.call().unwrap_or_else(nothing))
            }
        }
    }

    /// Some of what was said may be in its records only.
    pub(crate) fn lacks_text(&self) -> bool {
        match self {
            Kept::Whole(call) => call.lacks_text(),
            Kept::Stored(_) => true,
        }
    }

    pub(crate) fn encode(&self) -> Cow<'_, [u8]> {
        match self {
            Kept::Whole(call) => Cow::Owned(call.encode().into_vec()),
            Kept::Stored(stored) => Cow::Borrowed(&stored.bytes),
        }
    }

    /// Bytes in memory, and those of them that are words.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        match self {
            Kept::Whole(call) => (call.memory_bytes(), call.transcript_bytes()),
            Kept::Stored(stored) => (size_of::<Stored>() + stored.bytes.len(), 0),
        }
    }
}
