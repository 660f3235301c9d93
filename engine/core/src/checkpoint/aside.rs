//! The stored form of what was set aside: counts, and the newest notes.

use uuid::Uuid;

use super::{seal, set_asides_key};
use crate::id::{TenantId, WorkspaceId};
use crate::instant::Millis;
use crate::record::SetAside;
use crate::wire::{In, Out};

/// Newest notes of one partition that are stored; the whole list is in ClickHouse.
pub const NOTES_MAX: usize = 100;

/// What was set aside of one partition. Counts are no merge, so it says itself which records are in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetAsides {
    /// Records below this offset are counted, others are not.
    pub as_of: i64,
    /// By tenant (`None`: of a damaged record) and reason.
    pub counts: Vec<(Option<TenantId>, SetAside, u64)>,
    /// The newest, oldest first.
    pub notes: Vec<Note>,
}

/// One set-aside event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where its bytes are in the partition.
    pub offset: i64,
    /// Why.
    pub reason: SetAside,
    /// Whose; `None` when the record itself is damaged.
    pub tenant: Option<TenantId>,
    /// Which workspace's address it came to.
    pub workspace: Option<WorkspaceId>,
    /// Its event name, as the record's header has it.
    pub event: String,
    /// Its routing key.
    pub key: String,
    /// When the door took it; of a damaged record, when the log took it.
    pub received_at: Millis,
    /// What was found, in words, without content of the body.
    pub detail: Option<String>,
}

impl SetAsides {
    /// Key and value to store.
    pub fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let key = set_asides_key();
        let value = seal(&key, |out| {
            out.number(self.as_of);
            out.list(self.counts.iter(), |out, (tenant, reason, count)| {
                out.option(tenant.as_ref(), |out, tenant| out.bytes(tenant.0.as_bytes()));
                out.text(reason.as_str());
                out.count(*count);
            });
            out.list(self.notes.iter(), |out, note| note.write(out));
        });
        (key, value)
    }

    pub(super) fn read(from: &mut In<'_>) -> Option<SetAsides> {
        Some(SetAsides {
            as_of: from.number()?,
            counts: from.list(|from| Some((from.option(id)?.map(TenantId), reason(from)?, from.count()?)))?,
            notes: from.list(Note::read)?,
        })
    }
}

impl Note {
    fn write(&self, out: &mut Out) {
        out.number(self.offset);
        out.text(self.reason.as_str());
        out.option(self.tenant.as_ref(), |out, tenant| out.bytes(tenant.0.as_bytes()));
        out.option(self.workspace.as_ref(), |out, workspace| out.bytes(workspace.0.as_bytes()));
        out.text(&self.event);
        out.text(&self.key);
        out.moment(self.received_at);
        out.option(self.detail.as_deref(), Out::text);
    }

    fn read(from: &mut In<'_>) -> Option<Note> {
        Some(Note {
            offset: from.number()?,
            reason: reason(from)?,
            tenant: from.option(id)?.map(TenantId),
            workspace: from.option(id)?.map(WorkspaceId),
            event: from.str()?.to_owned(),
            key: from.str()?.to_owned(),
            received_at: from.moment()?,
            detail: from.option(|from| from.str().map(str::to_owned))?,
        })
    }
}

fn id(from: &mut In<'_>) -> Option<Uuid> {
    from.bytes().map(Uuid::from_bytes)
}

fn reason(from: &mut In<'_>) -> Option<SetAside> {
    SetAside::parse(from.str()?)
}
