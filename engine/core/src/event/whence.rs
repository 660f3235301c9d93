//! Where a record comes from: what reading it needs of its header, from whichever form the header has.

use crate::id::{TenantId, WorkspaceId};
use crate::instant::Millis;
use crate::record::{Header, Opened, Source};

#[derive(Clone, Copy)]
pub(super) struct Whence {
    pub received_at: Millis,
    pub tenant: TenantId,
    pub workspace: WorkspaceId,
    pub source: Source,
}

impl Whence {
    pub fn of(header: &Header) -> Whence {
        Whence {
            received_at: header.received_at,
            tenant: header.tenant,
            workspace: header.workspace,
            source: header.source,
        }
    }

    pub fn of_opened(opened: &Opened<'_>) -> Whence {
        Whence {
            received_at: opened.received_at(),
            tenant: opened.tenant(),
            workspace: opened.workspace(),
            source: opened.source(),
        }
    }
}
