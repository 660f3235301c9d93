//! What the ledger must have of the calls that some records are about: what it keeps of them, with these records, counted anew.

use std::collections::BTreeMap;

use trunkline_core::event::Event;
use trunkline_core::facts::CallFacts;
use trunkline_core::id::CallKey;
use trunkline_core::usage::{Evidence, UnreadableEvidence};
use trunkline_stores::log::LogRecord;
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::effects::UsageCall;

use super::fold::{day_of, settled, touched};

/// A call as it must be.
pub(crate) struct Right {
    /// As the ledger must keep it.
    pub call: UsageCall,
    /// What follows from its records; `None` while no documented event came.
    pub facts: Option<Box<CallFacts>>,
    /// Records that are kept of it.
    pub records: usize,
}

/// Events of calls among records, each call with its partition.
pub(crate) fn events_of(records: &[LogRecord]) -> BTreeMap<CallKey, (u32, Vec<Event>)> {
    touched(records).calls
}

/// The call with these events. Where it stands is taken as it is kept: to move calls is the group's own work.
pub(crate) fn right(
    key: &CallKey,
    kept: Option<&UsageCall>,
    of: (u32, &[Event]),
    directory: &Directory,
) -> Result<Right, UnreadableEvidence> {
    let before = kept.map_or(Ok(Evidence::default()), |call| Evidence::decode(&call.evidence))?;
    let mut evidence = before.clone();
    for event in of.1 {
        evidence.note(event);
    }
    let mut folded = settled(key, kept, (before, evidence), of, directory);
    if let Some(kept) = kept {
        let standing = &mut folded.call.standing;
        standing.business = kept.standing.business;
        standing.zone = kept.standing.zone.clone();
        standing.day = day_of(folded.call.opened_at, &standing.zone).into();
    }
    let records = Evidence::decode(&folded.call.evidence).map_or(0, |evidence| evidence.records());
    Ok(Right {
        call: folded.call,
        facts: folded.facts,
        records,
    })
}

/// How many records are kept of a call.
pub(crate) fn records_kept(call: &UsageCall) -> usize {
    Evidence::decode(&call.evidence).map_or(0, |evidence| evidence.records())
}
