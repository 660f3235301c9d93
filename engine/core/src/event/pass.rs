//! One pass over a record's body, with memory that is kept between records.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::whence::Whence;
use super::{Event, Reading, read_value};
use crate::id::{Kind, TenantId};
use crate::json::{Bad, Canonical, Tape, Value};
use crate::record::{Opened, Record, SetAside};
use crate::undocumented::{Undocumented, undocumented};

/// Finds an event of the same call that is applied together with the one being read, by tenant, kind and id.
pub type Beside<'a> = &'a dyn Fn(TenantId, Kind, &str) -> Option<&'a Event>;

/// Memory that reading needs, kept between records of a thread.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) tape: Tape,
    pub(super) canonical: Canonical,
}

/// Scratch memory above this is given back after use: one huge body must not stay for ever. Room for a usual long transcript.
const SCRATCH_BYTES: usize = 1024 * 1024;

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Reads a record. What the door noted of the body is not trusted: a newer version may read what an older one could not.
pub fn read(record: &Record) -> Reading {
    read_record(record, |_, _| ()).0
}

/// The same, and what of the record is not documented: both of one pass over the body. Names are told for people; no record is refused or lost
/// for want of them.
pub fn read_naming(record: &Record) -> (Reading, Vec<Undocumented>) {
    let source = record.header.source;
    let name = |root: Value<'_>, reading: &Reading| catch_unwind(AssertUnwindSafe(|| undocumented(source, root, reading)));
    let (reading, named) = read_record(record, name);
    (reading, named.and_then(Result::ok).unwrap_or_default())
}

fn read_record<T>(record: &Record, also: impl FnOnce(Value<'_>, &Reading) -> T) -> (Reading, Option<T>) {
    let (mut reading, more) = read_with(Whence::of(&record.header), &record.body, None, also);
    if let Reading::Event(event) = &mut reading {
        event.body = record.body.clone();
    }
    (reading, more)
}

/// Reads a record of a batch, of which later ones of the same call were read before. What `beside` makes needless is left out, so both
/// must be applied to the call before anybody looks at it. `stored` are the bytes that were opened; an event keeps them.
pub fn read_beside(stored: &Bytes, opened: &Opened<'_>, beside: Beside<'_>) -> Reading {
    let (mut reading, _) = read_with(Whence::of_opened(opened), opened.body(), Some(beside), |_, _| ());
    if let Reading::Event(event) = &mut reading {
        event.body = stored.slice_ref(opened.body());
    }
    reading
}

/// Reads a body; where it is JSON, `also` is made of it and of what was read.
fn read_with<T>(
    whence: Whence,
    body: &[u8],
    beside: Option<Beside<'_>>,
    also: impl FnOnce(Value<'_>, &Reading) -> T,
) -> (Reading, Option<T>) {
    let Ok(text) = std::str::from_utf8(body) else {
        return (Reading::SetAside(SetAside::NotUtf8), None);
    };
    SCRATCH.with_borrow_mut(|scratch| {
        let reading = match scratch.tape.read(text) {
            Ok(()) => {
                let root = scratch.tape.root(text);
                let reading = read_value(whence, root, &mut scratch.canonical, beside);
                let more = also(root, &reading);
                (reading, Some(more))
            }
            Err(Bad::Syntax) => (Reading::SetAside(SetAside::NotJson), None),
            Err(Bad::TooDeep) => (Reading::SetAside(SetAside::TooDeep), None),
        };
        scratch.give_back(text.len());
        reading
    })
}

impl Scratch {
    /// Gives memory back after an unusually large body.
    pub(super) fn give_back(&mut self, body_bytes: usize) {
        if body_bytes > SCRATCH_BYTES {
            self.tape.shrink(SCRATCH_BYTES / 16);
            self.canonical.shrink(SCRATCH_BYTES);
        }
    }
}
