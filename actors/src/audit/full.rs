//! A full pass: folds the log with the pure core and compares, one partition at a time, so that memory is bounded by the calls of one
//! partition. A difference is named with its range.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use trunkline_core::id::{BusinessId, TenantId};
use trunkline_core::usage::Usage;
use trunkline_stores::clickhouse::Analytics;
use trunkline_stores::log::{EventLog, LogRecord};
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::effects::{Effects, UsageCall, differences};

use super::{AuditError, READ_AT_ONCE};
use crate::effects::Ledger;

/// What is compared.
pub struct Audited {
    /// The log, which is right by definition.
    pub log: Arc<dyn EventLog>,
    /// Its name, as the groups call it.
    pub log_name: String,
    /// The facts; left out when they cannot be reached.
    pub facts: Option<Analytics>,
    /// The usage ledger.
    pub ledger: Effects,
    /// Which call belongs to whom.
    pub directory: Arc<Directory>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `log`, `facts` or `ledger`.
    pub store: &'static str,
    /// Partition of the log.
    pub partition: u32,
    /// Where: a range of offsets, or a business and a day.
    pub range: String,
    /// What is compared.
    pub what: String,
    /// What the fold of the log gives.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records of the log that were folded.
    pub records: u64,
    /// Calls and chats they make.
    pub calls: u64,
    /// What is not as it should be.
    pub differences: Vec<Difference>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

impl Report {
    fn differs(
        &mut self,
        (store, partition): (&'static str, u32),
        range: String,
        what: &str,
        expected: impl ToString,
        found: impl ToString,
    ) {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.differences.push(Difference {
                store,
                partition,
                range,
                what: what.to_owned(),
                expected,
                found,
            });
        }
    }
}

/// A full pass. What groups have not yet done is noted, not taken for a difference; for a sharp result let them come to the end first.
pub async fn audit(audited: &Audited) -> Result<Report, AuditError> {
    let mut report = Report::default();
    let written: HashMap<u32, i64> = audited.log.committed(crate::facts::GROUP).await?.into_iter().collect();
    let accounted: HashMap<u32, i64> = audited
        .ledger
        .offsets()
        .await?
        .into_iter()
        .map(|at| (at.partition, at.next))
        .collect();
    for partition in 0..audited.log.partitions() {
        let (begins, end) = audited.log.span(partition).await?;
        let to_facts = written.get(&partition).copied().unwrap_or(begins).clamp(begins, end);
        let to_ledger = accounted.get(&partition).copied().unwrap_or(begins).clamp(begins, end);
        for (group, to) in [("facts", to_facts), ("effects", to_ledger)] {
            if to < end {
                let left = end - to;
                report.notes.push(format!(
                    "partition {partition}: group {group} has {left} records before it; compared up to offset {to}"
                ));
            }
        }
        let whole = begins == 0;
        if !whole {
            report.notes.push(format!(
                "partition {partition}: the log begins at offset {begins}; sums contain forgotten records and are not compared"
            ));
        }
        let (mut facts, mut ledger) = (Ledger::default(), Ledger::default());
        let mut next = begins;
        while next < end {
            let records = audited.log.read(partition, next, READ_AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            let after = last.position.offset + 1;
            dense(&mut report, partition, next, &records);
            let below = |to: i64| records.partition_point(|record| record.position.offset < to);
            facts.fold(&records[..below(to_facts)], &audited.directory)?;
            ledger.fold(&records[..below(to_ledger)], &audited.directory)?;
            report.records += records.len() as u64;
            next = after;
        }
        if next < end {
            report.differs(("log", partition), format!("{next}-{}", end - 1), "offsets", "readable", "missing");
        }
        report.calls += ledger.calls().filter(|call| call.standing.usage != Usage::default()).count() as u64;
        if let Some(stored) = &audited.facts {
            compare_offsets(&mut report, audited, stored, partition, begins, to_facts).await?;
            if whole {
                compare_facts(&mut report, stored, partition, &facts).await?;
            }
        }
        if whole {
            compare_ledger(&mut report, audited, partition, &ledger).await?;
        }
    }
    if audited.facts.is_none() {
        report.notes.push("ClickHouse was left out".to_owned());
    }
    Ok(report)
}

/// Records follow each other without a hole.
fn dense(report: &mut Report, partition: u32, from: i64, records: &[LogRecord]) {
    let mut next = from;
    for record in records {
        let offset = record.position.offset;
        if offset != next {
            report.differs(("log", partition), format!("{next}-{}", offset - 1), "offsets", "dense", "missing");
        }
        next = offset + 1;
    }
}

/// Every offset of the log is one row of events.
async fn compare_offsets(
    report: &mut Report,
    audited: &Audited,
    stored: &Analytics,
    partition: u32,
    begins: i64,
    end: i64,
) -> Result<(), AuditError> {
    if begins == end {
        return Ok(());
    }
    for missing in stored.missing(&audited.log_name, partition, begins, end).await? {
        let range = format!("{}-{}", missing.first, missing.last);
        report.differs(("facts", partition), range, "records", missing.last - missing.first + 1, 0);
    }
    Ok(())
}

/// Counts of calls by business.
async fn compare_facts(report: &mut Report, stored: &Analytics, partition: u32, fold: &Ledger) -> Result<(), AuditError> {
    let mut sums: BTreeMap<(TenantId, BusinessId), (Usage, Usage)> = BTreeMap::new();
    for call in fold.calls() {
        sums.entry((call.key.tenant, call.standing.business)).or_default().0 += call.standing.usage;
    }
    for row in stored.calls_of_partition(partition).await? {
        let found = &mut sums.entry((TenantId(row.tenant), BusinessId(row.business))).or_default().1;
        found.calls = i64::try_from(row.all_calls).unwrap_or(i64::MAX);
        found.connected = i64::try_from(row.all_connected).unwrap_or(i64::MAX);
        found.talk_ms = row.all_talk_ms;
    }
    for ((_, business), (expected, found)) in sums {
        let range = business.to_string();
        report.differs(
            ("facts", partition),
            range.clone(),
            "calls and chats",
            expected.calls + expected.chats,
            found.calls,
        );
        report.differs(
            ("facts", partition),
            range.clone(),
            "connected",
            expected.connected,
            found.connected,
        );
        report.differs(("facts", partition), range, "talk_ms", expected.talk_ms, found.talk_ms);
    }
    Ok(())
}

/// Sums of days, and what every single call adds.
async fn compare_ledger(report: &mut Report, audited: &Audited, partition: u32, fold: &Ledger) -> Result<(), AuditError> {
    let businesses = audited.directory.businesses.values().map(|business| business.tenant);
    let tenants: BTreeSet<TenantId> = businesses.chain(fold.calls().map(|call| call.key.tenant)).collect();
    for tenant in tenants {
        let own = || fold.calls().filter(|call| call.key.tenant == tenant);
        let mut days: BTreeMap<(BusinessId, String), (Usage, Usage)> = BTreeMap::new();
        for ((business, day, _), usage) in differences(own().map(|call| (None, &call.standing))) {
            days.entry((business, day.to_string())).or_default().0 = usage;
        }
        for day in audited.ledger.days_of_partition(tenant, partition).await? {
            days.entry((day.business, day.day)).or_default().1 = day.usage;
        }
        for ((business, day), (expected, found)) in days {
            let mut compare = |what, expected: i128, found: i128| {
                report.differs(("ledger", partition), format!("{business} {day}"), what, expected, found);
            };
            compare("calls", expected.calls.into(), found.calls.into());
            compare("connected", expected.connected.into(), found.connected.into());
            compare("timed", expected.timed.into(), found.timed.into());
            compare("talk_ms", expected.talk_ms.into(), found.talk_ms.into());
            compare("chats", expected.chats.into(), found.chats.into());
            compare("priced", expected.priced.into(), found.priced.into());
            compare("cost_microcents", expected.cost_microcents, found.cost_microcents);
            compare(
                "transfer_leg_microcents",
                expected.transfer_leg_microcents,
                found.transfer_leg_microcents,
            );
        }
        let own: Vec<&UsageCall> = own().collect();
        for calls in own.chunks(READ_AT_ONCE) {
            let keys: Vec<_> = calls.iter().map(|call| call.key.clone()).collect();
            let stored = audited.ledger.calls(&keys).await?;
            for call in calls {
                let shown =
                    |call: Option<&UsageCall>| call.map_or_else(|| "nothing".to_owned(), |call| format!("{:?}", call.standing.usage));
                let range = format!("{} {}", call.key.kind.as_str(), call.key.id);
                report.differs(
                    ("ledger", partition),
                    range,
                    "usage of the call",
                    shown(Some(call)),
                    shown(stored.get(&call.key)),
                );
            }
        }
    }
    Ok(())
}
