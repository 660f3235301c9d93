//! A page of the auditor with something of everything.

use trunkline_actors::facts::{FactsState, PartitionFacts};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::auditor::{AuditPosition, Finding, FindingKind};
use uuid::Uuid;

use super::fixture::NOW;
use crate::pages::auditor::{AuditQuery, AuditorPage};
use crate::pages::shell::Shell;

pub fn page(s: Shell) -> AuditorPage {
    let ago = |seconds: i64| Millis(NOW - seconds * 1_000);
    let position = |partition: u32| AuditPosition {
        partition,
        next: 48_211 + i64::from(partition) * 13,
        again: 9_000,
        to: (partition != 2).then(|| ago(20)),
        passed_at: ago(20),
    };
    let mut facts = FactsState::default();
    facts.partitions.insert(0, PartitionFacts { next: 48_300, end: 48_320 });
    let finding = |number: u128, kind: Option<FindingKind>, subject: &str, repaired: bool, done: &str| Finding {
        id: Uuid::from_u128(number),
        partition: 3,
        kind,
        first: 1_200,
        last: 1_260,
        subject: subject.to_owned(),
        expected: "1 row for each offset".to_owned(),
        found: "0 rows".to_owned(),
        found_at: ago(300),
        tries: 1,
        repaired_at: repaired.then(|| ago(299)),
        done: done.to_owned(),
    };
    let mut findings: Vec<Finding> = FindingKind::ALL
        .into_iter()
        .enumerate()
        .map(|(at, kind)| {
            let subject = match kind {
                FindingKind::FactsCall | FindingKind::LedgerCall => "call call_4fbd12aa5efe68ba59f6c4500001",
                FindingKind::LedgerDay => "00000000-0000-0000-0000-00000000000a 2026-11-22",
                _ => "",
            };
            let repaired = kind != FindingKind::LogGap;
            finding(
                at as u128,
                Some(kind),
                subject,
                repaired,
                "61 records and 4 calls were written again",
            )
        })
        .collect();
    findings.push(finding(7, None, "", true, "agreed when it was looked at again"));
    findings.extend((0..100).map(|number| {
        finding(
            100 + number,
            Some(FindingKind::FactsMissing),
            "",
            true,
            "1 records and 1 calls were written again",
        )
    }));
    let positions: Vec<AuditPosition> = (0..3).map(position).collect();
    AuditorPage::of(s, &positions, &facts, findings, &AuditQuery::default())
}
