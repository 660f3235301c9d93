//! Reads one micro-batch: bytes to records to events, grouped by call in log order. What cannot be read is set aside.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use trunkline_core::event::{Reading, read};
use trunkline_core::id::{CallKey, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{Record, SetAside};
use trunkline_stores::log::LogRecord;

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
    /// By call, in order of first appearance.
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
    let record = match Record::decode(&stored.bytes) {
        Ok(record) => record,
        Err(damage) => {
            return Said::SetAside(Box::new(SetAsideNote {
                position: stored.position,
                reason: SetAside::Damaged,
                tenant: None,
                workspace: None,
                event: String::new(),
                key: String::new(),
                received_at: stored.appended_at,
                detail: Some(damage.to_string()),
            }));
        }
    };
    let received_at = record.header.received_at;
    match catch_unwind(AssertUnwindSafe(|| read(&record))) {
        Ok(Reading::Event(event)) => Said::Event {
            key: event.key().clone(),
            workspace: record.header.workspace,
            received_at,
            event: Stamped {
                offset: stored.position.offset,
                event,
            },
        },
        Ok(Reading::Alert(_) | Reading::Hook(_)) => Said::Other { received_at },
        Ok(Reading::SetAside(reason)) => Said::SetAside(Box::new(note(stored, &record, reason, None))),
        Err(_) => Said::SetAside(Box::new(note(
            stored,
            &record,
            SetAside::Poisoned,
            Some("reading it panicked".to_owned()),
        ))),
    }
}

/// The note of a record whose header can be read.
pub(crate) fn note(stored: &LogRecord, record: &Record, reason: SetAside, detail: Option<String>) -> SetAsideNote {
    let header = &record.header;
    SetAsideNote {
        position: stored.position,
        reason,
        tenant: Some(header.tenant),
        workspace: Some(header.workspace),
        event: header.event.clone(),
        key: header.key.clone(),
        received_at: header.received_at,
        detail,
    }
}

/// Reads a micro-batch.
pub(crate) fn gather(records: &[LogRecord]) -> Gathered {
    let mut gathered = Gathered::default();
    let mut places: HashMap<CallKey, usize> = HashMap::new();
    for stored in records {
        let received_at = match say(stored) {
            Said::Event {
                key,
                workspace,
                received_at,
                event,
            } => {
                let place = *places.entry(key.clone()).or_insert_with(|| {
                    gathered.groups.push(Group {
                        key,
                        workspace,
                        heard_at: received_at,
                        events: Vec::new(),
                    });
                    gathered.groups.len() - 1
                });
                let group = &mut gathered.groups[place];
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
        gathered.times.push((received_at, stored.appended_at));
    }
    gathered
}
