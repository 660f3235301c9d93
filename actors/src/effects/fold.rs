//! From the records of a batch and what is kept of their calls to what the calls add now. No IO.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use trunkline_core::announcement::{Told, body};
use trunkline_core::event::{Event, Reading, read};
use trunkline_core::facts::CallFacts;
use trunkline_core::id::{BusinessId, CallKey, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::Record;
use trunkline_core::usage::{Evidence, UnreadableEvidence, Usage, usage};
use trunkline_stores::log::LogRecord;
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::effects::{Announcement, Standing, UsageCall};
use uuid::Uuid;

/// Agents with longer ids cannot be mapped, so they decide nothing.
const AGENT_BYTES_MAX: usize = 256;

/// Zone of calls whose business is not known (any more).
const NO_ZONE: &str = "UTC";

/// The local date of a moment; in UTC where the zone is not known.
pub(super) fn day_of(at: Millis, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.to_zoned(zone).date().to_string()
}

/// Events of the calls of a batch.
#[derive(Default)]
pub(super) struct Touched {
    pub calls: BTreeMap<CallKey, (u32, Vec<Event>)>,
    /// Records that say nothing of a call: alerts, hooks, what is set aside.
    pub of_no_call: u64,
    /// Of those, records that could not be read.
    pub unreadable: u64,
}

/// Reads the records of a batch.
pub(super) fn touched(records: &[LogRecord]) -> Touched {
    let mut touched = Touched::default();
    for stored in records {
        let reading = Record::decode(&stored.bytes)
            .ok()
            .and_then(|record| catch_unwind(AssertUnwindSafe(|| read(&record))).ok());
        match reading {
            Some(Reading::Event(event)) => {
                let (_, events) = touched
                    .calls
                    .entry(event.key().clone())
                    .or_insert_with(|| (stored.position.partition, Vec::new()));
                events.push(*event);
            }
            Some(Reading::Alert(_) | Reading::Hook(_)) => touched.of_no_call += 1,
            Some(Reading::SetAside(_)) | None => {
                touched.of_no_call += 1;
                touched.unreadable += 1;
            }
        }
    }
    touched
}

/// What became of a call.
pub(super) struct Folded {
    pub call: UsageCall,
    /// The facts that usage was taken from; `None` while no documented event came (rule A10).
    pub facts: Option<Box<CallFacts>>,
    /// Events that could not be applied.
    pub poisoned: u64,
}

/// A call with the events of a batch; `None` when they change nothing.
pub(super) fn folded(
    key: &CallKey,
    known: Option<&UsageCall>,
    (partition, events): (u32, Vec<Event>),
    directory: &Directory,
) -> Result<Option<Folded>, UnreadableEvidence> {
    let before = known.map_or(Ok(Evidence::default()), |call| Evidence::decode(&call.evidence))?;
    let mut evidence = before.clone();
    let mut changed = false;
    for event in &events {
        changed |= evidence.note(event);
    }
    Ok(changed.then(|| settled(key, known, (before, evidence), (partition, &events), directory)))
}

/// A call as it follows from its evidence: as it was before these events, and with them.
pub(super) fn settled(
    key: &CallKey,
    known: Option<&UsageCall>,
    (before, mut evidence): (Evidence, Evidence),
    (partition, events): (u32, &[Event]),
    directory: &Directory,
) -> Folded {
    let mut poisoned = 0;
    let facts = match facts_of(&evidence, key) {
        Some(facts) => facts,
        None => {
            // One of them panics when it is applied: it is left out, as the other groups do.
            evidence = before;
            for event in events {
                let mut with = evidence.clone();
                with.note(event);
                if facts_of(&with, key).is_some() {
                    evidence = with;
                } else {
                    poisoned += 1;
                }
            }
            facts_of(&evidence, key).flatten()
        }
    };
    let first = events.iter().min_by_key(|event| *event.stamp());
    let mut call = known.cloned().unwrap_or_else(|| UsageCall {
        key: key.clone(),
        evidence: Vec::new(),
        told: 0,
        workspace: first.map_or(WorkspaceId(Uuid::nil()), |event| event.workspace()),
        owner_agent: String::new(),
        opened_at: first.map_or(Millis(0), |event| event.received_at()),
        standing: nowhere(partition),
    });
    call.evidence = evidence.encode();
    let used = facts.as_deref().map(|facts| {
        call.workspace = facts.workspace;
        call.owner_agent = facts.owner_agent.as_deref().map(agent).unwrap_or_default();
        call.opened_at = facts.opened_at();
        usage(facts)
    });
    call.standing.partition = partition;
    call.standing.usage = used.unwrap_or_default();
    place(&mut call, directory);
    Folded { call, facts, poisoned }
}

/// The facts; `None` when folding panics.
fn facts_of(evidence: &Evidence, key: &CallKey) -> Option<Option<Box<CallFacts>>> {
    catch_unwind(AssertUnwindSafe(|| evidence.facts(key).map(Box::new))).ok()
}

fn nowhere(partition: u32) -> Standing {
    Standing {
        business: BusinessId(Uuid::nil()),
        zone: NO_ZONE.into(),
        day: day_of(Millis(0), NO_ZONE).into(),
        partition,
        usage: Usage::default(),
    }
}

fn agent(id: &str) -> String {
    if id.len() > AGENT_BYTES_MAX || id.contains('\0') {
        return String::new();
    }
    id.to_owned()
}

/// Where calls of this owner belong: the business and its time zone.
pub(super) fn home(directory: &Directory, tenant: TenantId, workspace: WorkspaceId, owner_agent: &str) -> (BusinessId, Arc<str>) {
    let agent = Some(owner_agent).filter(|agent| !agent.is_empty());
    // A workspace that the directory does not know (any more): nobody's business, until the directory knows better.
    let business = directory.business_of(tenant, workspace, agent).unwrap_or(BusinessId(Uuid::nil()));
    let zone = directory.businesses.get(&business).map_or(NO_ZONE, |business| &business.zone);
    (business, zone.into())
}

/// Puts a call where it belongs.
pub(super) fn place(call: &mut UsageCall, directory: &Directory) {
    let (business, zone) = home(directory, call.key.tenant, call.workspace, &call.owner_agent);
    call.standing.business = business;
    call.standing.day = day_of(call.opened_at, &zone).into();
    call.standing.zone = zone;
}

/// What the outside is to be told of a call now; notes it as told.
pub(super) fn told(folded: &mut Folded, now: Millis) -> Vec<Announcement> {
    let Some(facts) = &folded.facts else { return Vec::new() };
    let mut told = Told(folded.call.told);
    let topics = told.tell(facts);
    folded.call.told = told.0;
    let (tenant, business) = (folded.call.key.tenant, folded.call.standing.business);
    let announcement = |topic| Announcement {
        tenant,
        business,
        topic,
        body: body(topic, facts, business, now),
    };
    topics.into_iter().map(announcement).collect()
}

/// The ledger as it follows from records alone: what the auditor and tests compare with.
#[derive(Default)]
pub struct Ledger(HashMap<CallKey, UsageCall>);

impl Ledger {
    /// Takes in records that follow those before.
    pub fn fold(&mut self, records: &[LogRecord], directory: &Directory) -> Result<(), UnreadableEvidence> {
        for (key, of) in touched(records).calls {
            if let Some(folded) = folded(&key, self.0.get(&key), of, directory)? {
                self.0.insert(key, folded.call);
            }
        }
        Ok(())
    }

    /// The calls, in no order.
    pub fn calls(&self) -> impl Iterator<Item = &UsageCall> {
        self.0.values()
    }
}
