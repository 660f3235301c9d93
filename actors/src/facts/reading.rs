//! From stored bytes to a row and, where it is one, an event of a call.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use trunkline_core::event::{Event, Reading, read};
use trunkline_core::record::{Record, SetAside};
use trunkline_core::undocumented::undocumented;
use trunkline_stores::clickhouse::EventRow;
use trunkline_stores::log::LogRecord;

/// One record of the log, read.
pub(crate) struct Entry {
    /// What is stored of it.
    pub row: EventRow,
    /// The event, if it is one of a call.
    pub event: Option<Box<Event>>,
}

/// A record as it stands in the log, and read.
pub(super) struct Read {
    pub record: LogRecord,
    pub entry: Entry,
}

impl Read {
    pub fn new(log: &Arc<str>, record: LogRecord) -> Self {
        let entry = entry(log, &record);
        Self { record, entry }
    }
}

impl Borrow<LogRecord> for Read {
    fn borrow(&self) -> &LogRecord {
        &self.record
    }
}

/// Reads a record. Whatever is in it, there is a row.
pub(crate) fn entry(log: &Arc<str>, stored: &LogRecord) -> Entry {
    let position = stored.position;
    let Ok(record) = Record::decode(&stored.bytes) else {
        return Entry {
            row: EventRow::damaged(log, position, stored.appended_at, &stored.bytes),
            event: None,
        };
    };
    let strange = |event: Option<&Event>| -> Vec<String> {
        // Names are told for people; no record is refused or lost for want of them.
        let found = catch_unwind(AssertUnwindSafe(|| undocumented(&record, event))).unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    };
    let aside = |reason| {
        let mut row = EventRow::of_no_call(log, position, &record, reason);
        row.undocumented = strange(None);
        Entry { row, event: None }
    };
    match catch_unwind(AssertUnwindSafe(|| read(&record))) {
        Ok(Reading::Event(event)) => {
            let mut row = EventRow::of_call(log, position, &record, event.key(), &event.stamp().content);
            row.undocumented = strange(Some(&event));
            Entry { row, event: Some(event) }
        }
        Ok(Reading::SetAside(reason)) => aside(Some(reason)),
        Ok(Reading::Alert(_) | Reading::Hook(_)) => aside(None),
        Err(_) => aside(Some(SetAside::Poisoned)),
    }
}

/// Marks a record whose event could not be applied.
pub(super) fn poison(entry: &mut Entry) {
    entry.row.set_aside = SetAside::Poisoned.as_str().to_owned();
    entry.event = None;
}
