//! Repairs what was found in a range: facts are written again from the log, then the ledger is posted again from their records.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use trunkline_core::event::{Event, Reading, read};
use trunkline_core::id::{CallKey, TenantId};
use trunkline_stores::log::LogRecord;
use trunkline_stores::postgres::auditor::FindingKind;
use trunkline_stores::postgres::effects::{Advance, BusinessDay, UsageCall, Written};

use super::AuditError;
use super::auditor::Ground;
use super::compare::{Where, Wrong};
use crate::effects::again::{events_of, right};
use crate::facts::again::write_again;
use crate::system::wall_clock;

/// Writes again what is wrong among `records`; `name` must be another one for each repair. Gives what was done, by kind.
pub(super) async fn repair(
    ground: &Ground,
    partition: u32,
    records: &[LogRecord],
    wrong: &[Wrong],
    name: &str,
) -> Result<BTreeMap<FindingKind, String>, AuditError> {
    let mut done = BTreeMap::new();
    let of = |kinds: &'static [FindingKind]| wrong.iter().filter(|wrong| kinds.contains(&wrong.kind));
    let ranges = || of(&[FindingKind::FactsMissing, FindingKind::FactsDiffer]);
    let is_wrong = |record: &&LogRecord| ranges().any(|wrong| (wrong.first..=wrong.last).contains(&record.position.offset));
    let again: Vec<LogRecord> = records.iter().filter(is_wrong).cloned().collect();
    let calls: Vec<(CallKey, u32)> = of(&[FindingKind::FactsCall])
        .filter_map(|wrong| call(wrong).map(|key| (key.clone(), partition)))
        .collect();
    let directory = ground.directory.borrow().clone();
    if !again.is_empty() || !calls.is_empty() {
        let of_log = (ground.log_name.as_str(), again.as_slice());
        let written = write_again(&ground.facts, of_log, calls, (&directory, &ground.rules), name).await?;
        let text = format!("{} records and {} calls were written again", written.records, written.calls);
        for kind in [FindingKind::FactsMissing, FindingKind::FactsDiffer, FindingKind::FactsCall] {
            done.insert(kind, text.clone());
        }
    }
    let posted: Vec<CallKey> = of(&[FindingKind::LedgerCall]).filter_map(call).cloned().collect();
    let mut days: BTreeMap<TenantId, BTreeSet<BusinessDay>> = BTreeMap::new();
    for wrong in of(&[FindingKind::LedgerDay]) {
        if let Where::Day(tenant, day) = &wrong.at {
            days.entry(*tenant).or_default().insert(day.clone());
        }
    }
    if !posted.is_empty() || !days.is_empty() {
        let text = repost(ground, partition, records, &posted, days).await?;
        for kind in [FindingKind::LedgerCall, FindingKind::LedgerDay] {
            done.insert(kind, text.clone());
        }
    }
    Ok(done)
}

fn call(wrong: &Wrong) -> Option<&CallKey> {
    match &wrong.at {
        Where::Call(key) => Some(key),
        _ => None,
    }
}

/// Posts calls again, and adds up the days they stood and stand on. The partition is claimed for it: its owner finds that it has lost
/// it, takes it again and goes on from what is there then, so neither writes over the other.
async fn repost(
    ground: &Ground,
    partition: u32,
    records: &[LogRecord],
    keys: &[CallKey],
    mut days: BTreeMap<TenantId, BTreeSet<BusinessDay>>,
) -> Result<String, AuditError> {
    let mut events = all_events(ground, partition, records, keys).await?;
    let (begins, end) = ground.log.span(partition).await?;
    let claim = ground.ledger.claim(partition, begins, end).await?;
    let fence = Advance {
        partition,
        epoch: claim.epoch,
        from: claim.next,
        to: claim.next,
    };
    let kept = ground.ledger.calls(keys).await?;
    let directory = ground.directory.borrow().clone();
    let mut calls: BTreeMap<TenantId, Vec<UsageCall>> = BTreeMap::new();
    for key in keys {
        let of = events.remove(key).unwrap_or((partition, Vec::new()));
        let of = (of.0, of.1.as_slice());
        let known = kept.get(key);
        let right = match right(key, known, of, &directory) {
            Ok(right) => right.call,
            // What is kept cannot be read: only what was announced of it still counts.
            Err(_) => UsageCall {
                told: known.map_or(0, |known| known.told),
                ..right(key, None, of, &directory)?.call
            },
        };
        let standings = known.map(|known| &known.standing).into_iter().chain([&right.standing]);
        let of_tenant = days.entry(key.tenant).or_default();
        of_tenant.extend(standings.map(|standing| (standing.business, standing.day.to_string())));
        calls.entry(key.tenant).or_default().push(right);
    }
    for (tenant, days) in &days {
        let days: Vec<BusinessDay> = days.iter().cloned().collect();
        let calls = calls.get(tenant).map(Vec::as_slice).unwrap_or_default();
        if ground.ledger.repost(&fence, *tenant, calls, &days, wall_clock()).await? == Written::Stale {
            return Ok("the partition's owner wrote meanwhile; tried again at the next pass".to_owned());
        }
    }
    let sums: usize = days.values().map(BTreeSet::len).sum();
    Ok(format!("{} calls were posted again and {sums} days added up again", keys.len()))
}

/// The events of calls: those among `records`, and what the facts have of them.
async fn all_events(
    ground: &Ground,
    partition: u32,
    records: &[LogRecord],
    keys: &[CallKey],
) -> Result<BTreeMap<CallKey, (u32, Vec<Event>)>, AuditError> {
    let mut events = events_of(records);
    for (key, stored) in ground.facts.records_of(keys).await? {
        let (_, of) = events.entry(key).or_insert((partition, Vec::new()));
        for record in stored {
            if let Ok(Reading::Event(event)) = catch_unwind(AssertUnwindSafe(|| read(&record))) {
                of.push(*event);
            }
        }
    }
    Ok(events)
}
