//! From stored bytes to a row and, where it is one, an event of a call.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use trunkline_core::event::{Event, Reading, read_naming};
use trunkline_core::record::{Record, SetAside};
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
    let of_no_call = |reason| EventRow::of_no_call(log, position, &record, reason);
    let Ok((reading, names)) = catch_unwind(AssertUnwindSafe(|| read_naming(&record))) else {
        let row = of_no_call(Some(SetAside::Poisoned));
        return Entry { row, event: None };
    };
    let (mut row, event) = match reading {
        Reading::Event(event) => {
            let row = EventRow::of_call(log, position, &record, event.key(), &event.stamp().content);
            (row, Some(event))
        }
        Reading::SetAside(reason) => (of_no_call(Some(reason)), None),
        Reading::Alert(_) | Reading::Hook(_) => (of_no_call(None), None),
    };
    row.undocumented = names.iter().map(ToString::to_string).collect();
    Entry { row, event }
}

/// Marks a record whose event could not be applied.
pub(super) fn poison(entry: &mut Entry) {
    entry.row.set_aside = SetAside::Poisoned.as_str().to_owned();
    entry.event = None;
}
