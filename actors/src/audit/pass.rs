//! One pass: what is open, what is new, what is newest, and some of what was compared before.

use std::collections::HashMap;

use serde::Serialize;
use trunkline_core::instant::Millis;
use trunkline_stores::log::{LogError, LogRecord};
use trunkline_stores::postgres::auditor::{AuditPosition, Finding, FindingKind, NewFinding, Noted};

use super::auditor::Ground;
use super::compare::{Where, Wrong, compare};
use super::repair::repair;
use super::{AuditError, READ_AT_ONCE};
use crate::system::wall_clock;

/// Offsets below the audited position that are counted with every pass: what a store loses, it loses from its end (CH-15).
const NEWEST: i64 = 100_000;

/// A difference, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Which partition.
    pub partition: u32,
    /// What is wrong.
    pub kind: FindingKind,
    /// First offset that is wrong, or that shows it.
    pub first: i64,
    /// Last one.
    pub last: i64,
    /// Which call or day; empty for a range.
    pub subject: String,
    /// What the fold of the log gives.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// The stores agree by now.
    pub repaired: bool,
    /// What was written, or why not.
    pub done: String,
}

/// What a pass did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Records that were compared.
    pub records: u64,
    /// What differed.
    pub found: Vec<Found>,
}

/// How far one partition can be compared.
struct Reach {
    partition: u32,
    begins: i64,
    /// Both groups have done everything below.
    to: i64,
    /// The end of the log.
    end: i64,
}

/// One pass over all partitions. The turn must be held: two at once would repair twice.
pub async fn pass(ground: &Ground) -> Result<Passed, AuditError> {
    let mut passed = Passed::default();
    let reaches = reaches(ground).await?;
    let open = ground.book.open().await?;
    let positions: HashMap<u32, AuditPosition> = ground.book.positions().await?.into_iter().map(|at| (at.partition, at)).collect();
    let newest = lost_of_newest(ground, &reaches, &positions).await?;
    for (reach, lost) in reaches.iter().zip(newest) {
        for finding in open.iter().filter(|finding| finding.partition == reach.partition) {
            look_again(ground, reach, finding, &mut passed).await?;
        }
        for (first, last) in lost {
            look(ground, reach, (first, last + 1), &mut passed).await?;
        }
        go_on(ground, reach, positions.get(&reach.partition), &mut passed).await?;
    }
    Ok(passed)
}

async fn reaches(ground: &Ground) -> Result<Vec<Reach>, AuditError> {
    // First of all: whatever is read later is at least as far.
    let written: HashMap<u32, i64> = ground.log.committed(crate::facts::GROUP).await?.into_iter().collect();
    let accounted = ground.ledger.offsets().await?;
    let mut reaches = Vec::new();
    for partition in 0..ground.log.partitions() {
        let (begins, end) = ground.log.span(partition).await?;
        let accounted = accounted.iter().find(|at| at.partition == partition).map_or(begins, |at| at.next);
        let written = written.get(&partition).copied().unwrap_or(begins);
        reaches.push(Reach {
            partition,
            begins,
            to: written.min(accounted).clamp(begins, end),
            end,
        });
    }
    Ok(reaches)
}

/// Of each partition the ranges that are missing among the newest facts of what was compared before.
async fn lost_of_newest(
    ground: &Ground,
    reaches: &[Reach],
    positions: &HashMap<u32, AuditPosition>,
) -> Result<Vec<Vec<(i64, i64)>>, AuditError> {
    let bound = |reach: &Reach| {
        let next = positions.get(&reach.partition).map_or(reach.begins, |at| at.next.min(reach.to));
        ((next - NEWEST).max(reach.begins), next.max(reach.begins))
    };
    let bounds: Vec<(i64, i64)> = reaches.iter().map(bound).collect();
    let density = ground.facts.density_between(&ground.log_name, &bounds).await?;
    let mut lost = Vec::with_capacity(reaches.len());
    for (reach, (first, end)) in reaches.iter().zip(&bounds) {
        let here = density.iter().find(|at| at.log_partition == reach.partition);
        let is_whole = here.map_or(0, |at| at.distinct) == (end - first).unsigned_abs();
        let missing = match is_whole {
            true => Vec::new(),
            false => ground.facts.missing(&ground.log_name, reach.partition, *first, *end).await?,
        };
        lost.push(missing.into_iter().map(|missing| (missing.first, missing.last)).collect());
    }
    Ok(lost)
}

/// Compares what is new, and some of what is old, and notes how far it is.
async fn go_on(ground: &Ground, reach: &Reach, before: Option<&AuditPosition>, passed: &mut Passed) -> Result<(), AuditError> {
    let partition = reach.partition;
    let mut at = before.copied().unwrap_or(AuditPosition {
        partition,
        next: reach.begins,
        again: reach.begins,
        to: None,
        passed_at: wall_clock(),
    });
    if at.next < reach.begins {
        tracing::warn!(
            log.partition = partition,
            from = at.next,
            to = reach.begins,
            "the log has forgotten records before they were audited"
        );
    }
    // A log that ends earlier is another one, or was cut: all of it is compared anew.
    at.next = if at.next > reach.end {
        reach.begins
    } else {
        at.next.max(reach.begins)
    };
    let old_end = at.next;
    while at.next < reach.to {
        let slice = (at.next, (at.next + READ_AT_ONCE as i64).min(reach.to));
        let newest = look(ground, reach, slice, passed).await?;
        at.next = slice.1;
        at.to = newest.or(at.to);
        at.passed_at = wall_clock();
        ground.book.put_position(&at).await?;
    }
    let again = if at.again < reach.begins || at.again >= old_end {
        reach.begins
    } else {
        at.again
    };
    let again_end = (again + i64::from(ground.options.again_records)).min(old_end);
    if again < again_end {
        look(ground, reach, (again, again_end), passed).await?;
    }
    at.again = again_end.max(reach.begins);
    at.passed_at = wall_clock();
    if at.next == reach.end {
        at.to = Some(at.passed_at);
    }
    ground.book.put_position(&at).await?;
    Ok(())
}

/// Looks whether something that was open has gone by itself; what is still there is repaired once more.
async fn look_again(ground: &Ground, reach: &Reach, finding: &Finding, passed: &mut Passed) -> Result<(), AuditError> {
    let begin = passed.found.len();
    let (first, end) = (finding.first.max(reach.begins), (finding.last + 1).min(reach.to));
    if finding.last < reach.begins {
        let done = "the log has forgotten these records; nothing is left to compare with";
        ground.book.settle(finding.id, Some(wall_clock()), done).await?;
        return Ok(());
    }
    if first >= end {
        return Ok(());
    }
    look(ground, reach, (first, end), passed).await?;
    let is_it = |found: &Found| Some(found.kind) == finding.kind && found.subject == finding.subject && found.first == finding.first;
    if !passed.found[begin..].iter().any(is_it) {
        let done = match finding.done.is_empty() {
            true => "agreed when it was looked at again",
            false => finding.done.as_str(),
        };
        ground.book.settle(finding.id, Some(wall_clock()), done).await?;
    }
    Ok(())
}

/// Compares from an offset to before another, a slice at a time; gives when the log took the newest of it.
async fn look(ground: &Ground, reach: &Reach, (first, end): (i64, i64), passed: &mut Passed) -> Result<Option<Millis>, AuditError> {
    let mut next = first;
    let mut newest = None;
    while next < end {
        let most = usize::try_from(end - next).unwrap_or(READ_AT_ONCE).min(READ_AT_ONCE);
        let (mut records, goes_on) = match ground.log.read(reach.partition, next, most).await {
            Ok(records) => (records, end),
            // What is there before the hole comes first.
            Err(LogError::Gone { wanted, .. }) if wanted > next && wanted < end => {
                let before = usize::try_from(wanted - next).unwrap_or(READ_AT_ONCE);
                (ground.log.read(reach.partition, next, before).await?, wanted)
            }
            Err(LogError::Gone { begins, .. }) => {
                let (forgotten, _) = ground.log.span(reach.partition).await?;
                if forgotten > next {
                    // Not lost: it has been kept as long as it was to be.
                    next = forgotten;
                    continue;
                }
                (Vec::new(), begins.clamp(next + 1, end))
            }
            Err(error) => return Err(error.into()),
        };
        records.retain(|record| record.position.offset < end);
        let mut gaps = gaps(next, &records);
        if records.is_empty() {
            gaps.push((next, goes_on - 1));
        }
        for (first, last) in gaps {
            let gap = Wrong {
                kind: FindingKind::LogGap,
                first,
                last,
                at: Where::Range,
                expected: "dense offsets".to_owned(),
                found: format!("{} offsets are missing", last - first + 1),
            };
            let noted = note(ground, reach.partition, &gap).await?;
            let done = "the log itself has lost these offsets: what they held can only come from Retell".to_owned();
            ground.book.settle(noted.id, None, &done).await?;
            passed.found.push(found(reach.partition, &gap, false, done));
        }
        let Some(last) = records.last() else {
            next = goes_on;
            continue;
        };
        newest = Some(last.appended_at);
        next = last.position.offset + 1;
        passed.records += records.len() as u64;
        look_at(ground, reach, &records, passed).await?;
    }
    Ok(newest)
}

/// Ranges that are not among records, from an offset on.
fn gaps(from: i64, records: &[LogRecord]) -> Vec<(i64, i64)> {
    let mut next = from;
    let mut gaps = Vec::new();
    for record in records {
        let offset = record.position.offset;
        if offset > next {
            gaps.push((next, offset - 1));
        }
        next = offset + 1;
    }
    gaps
}

/// Compares records, notes what differs, repairs it, and compares once more.
async fn look_at(ground: &Ground, reach: &Reach, records: &[LogRecord], passed: &mut Passed) -> Result<(), AuditError> {
    let partition = reach.partition;
    let wrong = compare(ground, partition, records, reach.to).await?;
    let mut noted: Vec<Noted> = Vec::with_capacity(wrong.len());
    for wrong in &wrong {
        noted.push(note(ground, partition, wrong).await?);
    }
    let Some(first) = noted.first() else { return Ok(()) };
    let repaired = repair(ground, partition, records, &wrong, &format!("repair:{}:{}", first.id, first.tries)).await?;
    let left = compare(ground, partition, records, reach.to).await?;
    for (wrong, noted) in wrong.iter().zip(noted) {
        let is_left = left.iter().any(|left| {
            let overlaps = left.first <= wrong.last && wrong.first <= left.last;
            left.kind == wrong.kind && left.at == wrong.at && overlaps
        });
        let done = repaired.get(&wrong.kind).cloned().unwrap_or_default();
        let done = match is_left {
            true => format!("still different after a repair: {done}"),
            false => done,
        };
        ground.book.settle(noted.id, (!is_left).then(wall_clock), &done).await?;
        if !is_left {
            metrics::counter!("trunkline_audit_repaired_total", "kind" => wrong.kind.as_str()).increment(1);
        }
        passed.found.push(found(partition, wrong, !is_left, done));
    }
    Ok(())
}

/// Writes a difference down, and raises the alarm.
async fn note(ground: &Ground, partition: u32, wrong: &Wrong) -> Result<Noted, AuditError> {
    tracing::error!(
        log.partition = partition,
        kind = wrong.kind.as_str(),
        first = wrong.first,
        last = wrong.last,
        "the auditor found a difference"
    );
    metrics::counter!("trunkline_audit_findings_total", "kind" => wrong.kind.as_str()).increment(1);
    let new = NewFinding {
        partition,
        kind: wrong.kind,
        first: wrong.first,
        last: wrong.last,
        subject: &wrong.at.subject(),
        owner: wrong.at.owner(),
        expected: &wrong.expected,
        found: &wrong.found,
    };
    Ok(ground.book.note(&new, wall_clock()).await?)
}

fn found(partition: u32, wrong: &Wrong, repaired: bool, done: String) -> Found {
    Found {
        partition,
        kind: wrong.kind,
        first: wrong.first,
        last: wrong.last,
        subject: wrong.at.subject(),
        expected: wrong.expected.clone(),
        found: wrong.found.clone(),
        repaired,
        done,
    }
}
