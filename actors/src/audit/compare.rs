//! Compares one range of a partition, below where both groups are, with what facts and ledger have of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use trunkline_core::facts::CallState;
use trunkline_core::id::{CallKey, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::record::SetAside;
use trunkline_core::usage::Usage;
use trunkline_stores::clickhouse::{EndingsOf, EventRow, Standings, StoredEnding};
use trunkline_stores::log::{LogError, LogRecord};
use trunkline_stores::postgres::auditor::FindingKind;
use trunkline_stores::postgres::effects::{BusinessDay, UsageCall};

use super::auditor::Ground;
use super::{AuditError, READ_AT_ONCE};
use crate::effects::again::{Right, events_of, records_kept, right};
use crate::facts::reading::entry;

/// Looks at a call that is just being written; between them it comes to rest.
const LOOKS: u32 = 5;
/// Pause before a further look: the facts group writes twice a second.
const LOOK_AGAIN: Duration = Duration::from_millis(700);

/// Something that is not as the log says.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    pub kind: FindingKind,
    /// Offsets that are wrong, or that show it.
    pub first: i64,
    pub last: i64,
    pub at: Where,
    pub expected: String,
    pub found: String,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Where {
    /// In the range of offsets itself.
    Range,
    Call(CallKey),
    Day(TenantId, BusinessDay),
}

impl Where {
    pub fn subject(&self) -> String {
        match self {
            Where::Range => String::new(),
            Where::Call(key) => format!("{} {}", key.kind.as_str(), key.id),
            Where::Day(_, (business, day)) => format!("{business} {day}"),
        }
    }

    pub fn owner(&self) -> Option<TenantId> {
        match self {
            Where::Range => None,
            Where::Call(key) => Some(key.tenant),
            Where::Day(tenant, _) => Some(*tenant),
        }
    }
}

/// Compares records that follow each other in a partition. A call that is not as it should be is found by the offsets of its records.
/// The facts have everything below `written`.
pub(super) async fn compare(ground: &Ground, partition: u32, records: &[LogRecord], written: i64) -> Result<Vec<Wrong>, AuditError> {
    let log: Arc<str> = ground.log_name.as_str().into();
    let mut spans: BTreeMap<(TenantId, String), (i64, i64)> = BTreeMap::new();
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let entry = entry(&log, record);
        if let Some(event) = &entry.event {
            let key = event.key();
            let offset = record.position.offset;
            let span = spans
                .entry((key.tenant, format!("{} {}", key.kind.as_str(), key.id)))
                .or_insert((offset, offset));
            span.1 = offset;
        }
        rows.push(entry.row);
    }
    let mut wrong = endings(ground, partition, &rows).await?;
    let events = events_of(records);
    let keys: Vec<CallKey> = events.keys().cloned().collect();
    let kept = ground.ledger.calls(&keys).await?;
    let directory = ground.directory.borrow().clone();
    let span = |at: &Where| {
        let whole = rows
            .first()
            .zip(rows.last())
            .map_or((0, 0), |(first, last)| (first.log_offset, last.log_offset));
        at.owner()
            .and_then(|owner| spans.get(&(owner, at.subject())).copied())
            .unwrap_or(whole)
    };
    let mut differs = |kind, at: Where, expected: String, found: String| {
        let (first, last) = span(&at);
        wrong.push(Wrong {
            kind,
            first,
            last,
            at,
            expected,
            found,
        });
    };
    let mut rights: HashMap<CallKey, Right> = HashMap::new();
    let mut days: BTreeMap<TenantId, BTreeSet<BusinessDay>> = BTreeMap::new();
    for (key, of) in events {
        let kept = kept.get(&key);
        let of = (of.0, of.1.as_slice());
        let right = match right(&key, kept, of, &directory) {
            Ok(right) => right,
            // It cannot be read: as good as nothing.
            Err(_) => right(&key, None, of, &directory)?,
        };
        let (expected, found) = (
            shown(Some((&right.call, right.records))),
            shown(kept.map(|kept| (kept, records_kept(kept)))),
        );
        if expected != found {
            differs(FindingKind::LedgerCall, Where::Call(key.clone()), expected, found);
        }
        let standings = kept.map(|kept| &kept.standing).into_iter().chain([&right.call.standing]);
        let of_tenant = days.entry(key.tenant).or_default();
        of_tenant.extend(standings.map(|standing| (standing.business, standing.day.to_string())));
        rights.insert(key, right);
    }
    for (tenant, days) in days {
        let days: Vec<BusinessDay> = days.into_iter().collect();
        for (day, sums) in ground.ledger.summed_days(tenant, partition, &days).await? {
            if sums.of_calls != sums.kept {
                let (expected, found) = (words(&sums.of_calls), words(&sums.kept));
                differs(FindingKind::LedgerDay, Where::Day(tenant, day), expected, found);
            }
        }
    }
    let unlike = unlike(ground, &rights).await?;
    let late = match unlike.is_empty() {
        true => HashSet::new(),
        false => on_the_way(ground, partition, written, unlike.iter().map(|(key, ..)| key)).await?,
    };
    for (key, expected, found) in unlike {
        // Late is not lost: it is compared with the records that are on their way.
        if late.contains(&key) {
            continue;
        }
        differs(FindingKind::FactsCall, Where::Call(key), expected, found);
    }
    Ok(wrong)
}

/// A call of the ledger in words.
fn shown(call: Option<(&UsageCall, usize)>) -> String {
    call.map_or_else(
        || "nothing".to_owned(),
        |(call, records)| {
            let standing = &call.standing;
            let usage = words(&standing.usage);
            format!(
                "{usage} on {} in partition {} of {records} records",
                standing.day, standing.partition
            )
        },
    )
}

/// Usage in words: what is not 0.
fn words(usage: &Usage) -> String {
    let parts: [(&str, i128); 8] = [
        ("calls", usage.calls.into()),
        ("connected", usage.connected.into()),
        ("timed", usage.timed.into()),
        ("talk_ms", usage.talk_ms.into()),
        ("chats", usage.chats.into()),
        ("priced", usage.priced.into()),
        ("cost_microcents", usage.cost_microcents),
        ("transfer_leg_microcents", usage.transfer_leg_microcents),
    ];
    let said = parts.iter().filter(|(_, value)| *value != 0);
    let said: Vec<String> = said.map(|(name, value)| format!("{name} {value}")).collect();
    match said.is_empty() {
        true => "no usage".to_owned(),
        false => said.join(", "),
    }
}

/// Every record is one row of events, and that row says what the record says.
async fn endings(ground: &Ground, partition: u32, rows: &[EventRow]) -> Result<Vec<Wrong>, AuditError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    let received = || rows.iter().map(|row| row.received_at);
    let of = EndingsOf {
        log: &ground.log_name,
        partition,
        first: first.log_offset,
        last: last.log_offset,
        from: Millis(received().min().unwrap_or(0)),
        to: Millis(received().max().unwrap_or(0)),
    };
    let mut stored: HashMap<i64, Vec<StoredEnding>> = HashMap::new();
    for ending in ground.facts.endings(&of).await? {
        stored.entry(ending.log_offset).or_default().push(ending);
    }
    let mut wrong: Vec<Wrong> = Vec::new();
    for row in rows {
        let found = stored.get(&row.log_offset).map(Vec::as_slice).unwrap_or_default();
        let (kind, said) = match found {
            [] => (FindingKind::FactsMissing, "0 rows".to_owned()),
            [one] if agrees(row, one) => continue,
            [_] => (FindingKind::FactsDiffer, "another content".to_owned()),
            several => (FindingKind::FactsDiffer, format!("{} rows", several.len())),
        };
        // Neighbours are one finding.
        match wrong
            .last_mut()
            .filter(|before| before.kind == kind && before.last + 1 == row.log_offset && before.found == said)
        {
            Some(before) => before.last = row.log_offset,
            None => wrong.push(Wrong {
                kind,
                first: row.log_offset,
                last: row.log_offset,
                at: Where::Range,
                expected: "1 row for each offset".to_owned(),
                found: said,
            }),
        }
    }
    Ok(wrong)
}

/// Whether a stored row is of this record. An event that could not be applied is set aside when it is written; here nothing is applied.
fn agrees(row: &EventRow, stored: &StoredEnding) -> bool {
    if stored.content != row.content || stored.tenant != row.tenant {
        return false;
    }
    let poisoned = stored.set_aside == SetAside::Poisoned.as_str();
    poisoned || (stored.set_aside == row.set_aside && stored.kind == row.kind && stored.call_id == row.call_id)
}

/// Calls whose rows in ClickHouse are not as the ledger's evidence says, once they have come to rest.
async fn unlike(ground: &Ground, rights: &HashMap<CallKey, Right>) -> Result<Vec<(CallKey, String, String)>, AuditError> {
    let mut keys: Vec<CallKey> = rights
        .iter()
        .filter(|(_, right)| right.facts.is_some())
        .map(|(key, _)| key.clone())
        .collect();
    let mut unlike = Vec::new();
    for look in 1..=LOOKS {
        let standings = ground.facts.standings(&keys).await?;
        unlike = keys
            .iter()
            .filter_map(|key| {
                let (right, standings) = (rights.get(key)?, standings.get(key).cloned().unwrap_or_default());
                (!stands(right, &standings)).then(|| (key.clone(), expected(right), found(right, &standings)))
            })
            .collect();
        if unlike.is_empty() || look == LOOKS {
            break;
        }
        // Its newest events may be on their way to one of the stores: what the ledger has by now counts at the end.
        tokio::time::sleep(LOOK_AGAIN).await;
        keys = unlike.iter().map(|(key, ..)| key.clone()).collect();
    }
    // A call that goes on is compared again with its next events; and one that had more meanwhile as well.
    let kept = ground.ledger.calls(&keys).await?;
    unlike.retain(|(key, ..)| {
        let seen = rights.get(key).map_or(0, |right| right.records);
        kept.get(key).is_none_or(|kept| records_kept(kept) <= seen)
    });
    Ok(unlike)
}

/// Which of these calls have records that the ledger has and the facts do not have yet.
async fn on_the_way(
    ground: &Ground,
    partition: u32,
    written: i64,
    keys: impl Iterator<Item = &CallKey>,
) -> Result<HashSet<CallKey>, AuditError> {
    let mut wanted: HashSet<&CallKey> = keys.collect();
    let mut late = HashSet::new();
    let accounted = ground.ledger.offsets().await?;
    let end = accounted.iter().find(|at| at.partition == partition).map_or(written, |at| at.next);
    let mut next = written;
    while next < end && !wanted.is_empty() {
        let records = match ground.log.read(partition, next, READ_AT_ONCE).await {
            Ok(records) => records,
            // What is lost there is found when that part is compared.
            Err(LogError::Gone { wanted, begins, .. }) => {
                next = begins.max(wanted + 1);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = records.last() else { break };
        next = last.position.offset + 1;
        for key in events_of(&records).into_keys() {
            if wanted.remove(&key) {
                late.insert(key);
            }
        }
    }
    Ok(late)
}

fn is_over(right: &Right) -> bool {
    right.facts.as_ref().is_some_and(|facts| facts.state == CallState::Ended)
}

/// What a call's row says when it is over: whether the sides spoke, and for how long.
fn story(right: &Right) -> (bool, i64) {
    let facts = right.facts.as_ref();
    (
        facts.is_some_and(|facts| facts.connected),
        facts.and_then(|facts| facts.duration_ms).unwrap_or(0),
    )
}

/// Whether the rows of a call are as they must be; of one that goes on, whether they are there. The ledger keeps one record of several with
/// the same content, so rows may be of more.
fn stands(right: &Right, standings: &Standings) -> bool {
    match (standings.calls.as_slice(), standings.transcripts.as_slice()) {
        ([call], [_]) => !is_over(right) || (call.records as usize >= right.records && (call.connected, call.lasted_ms) == story(right)),
        _ => false,
    }
}

fn expected(right: &Right) -> String {
    let ((connected, lasted_ms), records) = (story(right), right.records);
    match is_over(right) {
        true => format!("1 call of {records} records or more, connected {connected}, {lasted_ms} ms; 1 transcript"),
        false => "1 call; 1 transcript".to_owned(),
    }
}

fn found(right: &Right, standings: &Standings) -> String {
    let transcripts = standings.transcripts.len();
    match standings.calls.as_slice() {
        [one] if is_over(right) => format!(
            "1 call of {} records, connected {}, {} ms; {transcripts} transcript{}",
            one.records,
            one.connected,
            one.lasted_ms,
            plural(transcripts)
        ),
        calls => format!(
            "{} call{}; {transcripts} transcript{}",
            calls.len(),
            plural(calls.len()),
            plural(transcripts)
        ),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
