//! Reads one micro-batch: bytes to records to events, grouped by call in log order. What cannot be read is set aside.

use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use trunkline_core::event::{Beside, Event, Reading, read, read_beside};
use trunkline_core::id::{CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{DamagedRecord, Opened, SetAside};
use trunkline_stores::log::{LogRecord, Position};

use super::call_actor::Stamped;
use super::set_aside::SetAsideNote;

/// The events of one call in a micro-batch.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: CallKey,
    pub(crate) workspace: WorkspaceId,
    /// Receipt of the latest of them.
    pub(crate) heard_at: Millis,
    pub(crate) events: Vec<Stamped>,
}

/// A micro-batch, read.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By call.
    pub(crate) groups: Vec<Group>,
    pub(crate) set_aside: Vec<SetAsideNote>,
    /// Alerts and inbound hooks: they belong to no call.
    pub(crate) others: u64,
    /// (received, appended) of each record.
    pub(crate) times: Vec<(Millis, Millis)>,
}

/// What one stored record says.
pub(crate) enum Said {
    Event {
        key: CallKey,
        workspace: WorkspaceId,
        received_at: Millis,
        event: Stamped,
    },
    Other {
        received_at: Millis,
    },
    SetAside(Box<SetAsideNote>),
}

/// Reads one stored record. A panic of the reader is a poisoned event, not the end of the partition.
pub(crate) fn say(stored: &LogRecord) -> Said {
    match Opened::of(&stored.bytes) {
        Ok(opened) => say_beside(stored, &opened, None),
        Err(damage) => Said::SetAside(Box::new(damaged(stored, &damage))),
    }
}

fn say_beside(stored: &LogRecord, opened: &Opened<'_>, beside: Option<Beside<'_>>) -> Said {
    let received_at = opened.received_at();
    let reading = || match beside {
        Some(beside) => read_beside(&stored.bytes, opened, beside),
        None => read(&opened.head().with(stored.bytes.clone())),
    };
    match catch_unwind(AssertUnwindSafe(reading)) {
        Ok(Reading::Event(event)) => Said::Event {
            key: event.key().clone(),
            workspace: opened.workspace(),
            received_at,
            event: Stamped {
                offset: stored.position.offset,
                event,
                echoes: Vec::new(),
            },
        },
        Ok(Reading::Alert(_) | Reading::Hook(_)) => Said::Other { received_at },
        Ok(Reading::SetAside(reason)) => Said::SetAside(Box::new(note(stored.position, opened, reason, None))),
        Err(_) => Said::SetAside(Box::new(note(
            stored.position,
            opened,
            SetAside::Poisoned,
            Some("reading it panicked".to_owned()),
        ))),
    }
}

/// The note of a record that cannot be read at all.
fn damaged(stored: &LogRecord, damage: &DamagedRecord) -> SetAsideNote {
    SetAsideNote {
        position: stored.position,
        reason: SetAside::Damaged,
        tenant: None,
        workspace: None,
        event: String::new(),
        key: String::new(),
        received_at: stored.appended_at,
        detail: Some(damage.to_string()),
    }
}

/// The note of a record whose header can be read.
fn note(position: Position, opened: &Opened<'_>, reason: SetAside, detail: Option<String>) -> SetAsideNote {
    SetAsideNote {
        position,
        reason,
        tenant: Some(opened.tenant()),
        workspace: Some(opened.workspace()),
        event: opened.event().to_owned(),
        key: opened.key().to_owned(),
        received_at: opened.received_at(),
        detail,
    }
}

/// The calls of a micro-batch, found without owning a key.
#[derive(Default)]
struct Book {
    groups: Vec<Group>,
    places: HashTable<usize>,
    hasher: RandomState,
}

impl Book {
    fn hash(&self, tenant: TenantId, kind: Kind, id: &str) -> u64 {
        self.hasher.hash_one((tenant, kind, id))
    }

    fn place(&self, tenant: TenantId, kind: Kind, id: &str) -> Option<usize> {
        let is_it = |place: &usize| {
            let key = &self.groups[*place].key;
            *key.id == *id && key.tenant == tenant && key.kind == kind
        };
        self.places.find(self.hash(tenant, kind, id), is_it).copied()
    }

    /// The event of this call that was read last.
    fn event(&self, tenant: TenantId, kind: Kind, id: &str) -> Option<&Event> {
        let group = &self.groups[self.place(tenant, kind, id)?];
        group.events.last().map(|stamped| &*stamped.event)
    }

    /// Takes a record as an echo of the event of its call that was read last, if it is one. The routing key is only a hint where to look: an
    /// echo repeats the text that the call's id is in.
    fn echo(&mut self, offset: i64, opened: &Opened<'_>) -> bool {
        let Some(place) = self.place(opened.tenant(), Kind::Call, opened.key()) else {
            return false;
        };
        let group = &mut self.groups[place];
        let Some(Stamped { event, echoes, .. }) = group.events.last_mut() else {
            return false;
        };
        // What panics here is read like any other record, and then found.
        let Ok(Some(echo)) = catch_unwind(AssertUnwindSafe(|| event.echo(opened))) else {
            return false;
        };
        echoes.push((offset, echo));
        group.heard_at = group.heard_at.max(opened.received_at());
        true
    }

    fn group(&mut self, key: CallKey, workspace: WorkspaceId, heard_at: Millis) -> &mut Group {
        let place = self.place(key.tenant, key.kind, &key.id).unwrap_or_else(|| {
            let place = self.groups.len();
            let hash = self.hash(key.tenant, key.kind, &key.id);
            self.groups.push(Group {
                key,
                workspace,
                heard_at,
                events: Vec::new(),
            });
            let rehash = |place: &usize| {
                let key = &self.groups[*place].key;
                self.hasher.hash_one((key.tenant, key.kind, &*key.id))
            };
            self.places.insert_unique(hash, place, rehash);
            place
        });
        &mut self.groups[place]
    }
}

/// Reads a micro-batch from its end, because a call's later event tells what of an earlier one need not be read: both are applied
/// before anybody looks.
pub(crate) fn gather(records: Vec<LogRecord>) -> Gathered {
    let mut gathered = Gathered::default();
    let mut book = Book::default();
    for stored in records.into_iter().rev() {
        let appended_at = stored.appended_at;
        let said = match Opened::of(&stored.bytes) {
            Ok(opened) if book.echo(stored.position.offset, &opened) => {
                gathered.times.push((opened.received_at(), appended_at));
                continue;
            }
            Ok(opened) => say_beside(&stored, &opened, Some(&|tenant, kind, id| book.event(tenant, kind, id))),
            Err(damage) => Said::SetAside(Box::new(damaged(&stored, &damage))),
        };
        let received_at = match said {
            Said::Event {
                key,
                workspace,
                received_at,
                event,
            } => {
                let group = book.group(key, workspace, received_at);
                group.workspace = workspace;
                group.heard_at = group.heard_at.max(received_at);
                group.events.push(event);
                received_at
            }
            Said::Other { received_at } => {
                gathered.others += 1;
                received_at
            }
            Said::SetAside(note) => {
                let received_at = note.received_at;
                gathered.set_aside.push(*note);
                received_at
            }
        };
        gathered.times.push((received_at, appended_at));
    }
    gathered.groups = book.groups;
    for group in &mut gathered.groups {
        group.events.reverse();
        group.events.iter_mut().for_each(|stamped| stamped.echoes.reverse());
    }
    gathered.groups.reverse();
    gathered.set_aside.reverse();
    gathered.times.reverse();
    gathered
}
