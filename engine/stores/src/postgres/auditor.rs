//! What the auditor keeps: how far each partition of the log is compared, whose turn it is, and what was found.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::config::{Parameters, column, must_exist, rows};
use super::turn::Turn;
use super::{Database, PostgresError, shown};

/// Open findings that are read at once; more of them mean that a store was lost, and the rest follows.
pub const OPEN_MAX: u32 = 100;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Offsets are not in the log.
    LogGap,
    /// Records of the log are not among the facts.
    FactsMissing,
    /// Records are there otherwise, or more than once.
    FactsDiffer,
    /// A call, or what was said in it, is not as its records say.
    FactsCall,
    /// What the ledger has of a call is not what its records say.
    LedgerCall,
    /// The sum of a day is not that of its calls.
    LedgerDay,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 6] = [
        FindingKind::LogGap,
        FindingKind::FactsMissing,
        FindingKind::FactsDiffer,
        FindingKind::FactsCall,
        FindingKind::LedgerCall,
        FindingKind::LedgerDay,
    ];

    /// As stored and shown to programs.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::LogGap => "log_gap",
            FindingKind::FactsMissing => "facts_missing",
            FindingKind::FactsDiffer => "facts_differ",
            FindingKind::FactsCall => "facts_call",
            FindingKind::LedgerCall => "ledger_call",
            FindingKind::LedgerDay => "ledger_day",
        }
    }

    /// Reads [`FindingKind::as_str`].
    pub fn parse(word: &str) -> Option<FindingKind> {
        FindingKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How far a partition is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPosition {
    /// Which partition.
    pub partition: u32,
    /// Everything below was compared once.
    pub next: i64,
    /// The slow second look goes on here.
    pub again: i64,
    /// What the log took before this moment was compared.
    pub to: Option<Millis>,
    /// When the last pass over it ended well.
    pub passed_at: Millis,
}

/// A difference to be noted.
#[derive(Debug, Clone)]
pub struct NewFinding<'a> {
    /// Which partition.
    pub partition: u32,
    /// What is wrong.
    pub kind: FindingKind,
    /// First offset that is wrong, or that shows it.
    pub first: i64,
    /// Last one.
    pub last: i64,
    /// Which call or day; empty for a range.
    pub subject: &'a str,
    /// Whose.
    pub owner: Option<TenantId>,
    /// What the fold of the log gives.
    pub expected: &'a str,
    /// What is there.
    pub found: &'a str,
}

/// A finding just noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// Which.
    pub id: Uuid,
    /// How often it was noted: with the id, the name of a repair.
    pub tries: u32,
}

/// A finding as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which; later ones are greater.
    pub id: Uuid,
    /// Which partition.
    pub partition: u32,
    /// What is wrong; `None` for a word of a later version.
    pub kind: Option<FindingKind>,
    /// First offset.
    pub first: i64,
    /// Last offset.
    pub last: i64,
    /// Which call or day; empty for a range, and for others than its owner.
    pub subject: String,
    /// What the fold of the log gave.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// When it was found.
    pub found_at: Millis,
    /// How often.
    pub tries: u32,
    /// When the stores agreed again.
    pub repaired_at: Option<Millis>,
    /// What was written, or why it is not repaired.
    pub done: String,
}

/// Which findings.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindingsFilter {
    /// Only those that are not repaired.
    pub open: bool,
    /// Only those older than this one.
    pub before: Option<Uuid>,
}

/// How many findings there are of each kind: not repaired, and repaired since a moment.
pub type Counts = BTreeMap<FindingKind, (u64, u64)>;

/// The auditor's book of one log. Cheap to clone.
#[derive(Clone)]
pub struct AuditBook {
    database: Database,
    log_name: Arc<str>,
}

impl AuditBook {
    /// What is kept of the log of this name in `database`, whose schema is up to date.
    pub fn new(database: Database, log_name: impl Into<Arc<str>>) -> Self {
        Self {
            database,
            log_name: log_name.into(),
        }
    }

    async fn ask(&self, doing: &'static str, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, PostgresError> {
        let client = self.database.client(doing).await?;
        rows(&client, doing, sql, parameters).await
    }

    /// Takes the turn to compare this log; `None` while another process has it.
    pub async fn turn(&self) -> Result<Option<Turn>, PostgresError> {
        let name = format!("auditor {}", self.log_name);
        self.database.turn("take the auditor's turn", &name).await
    }

    /// How far partitions are; those that were never compared are left out.
    pub async fn positions(&self) -> Result<Vec<AuditPosition>, PostgresError> {
        let sql = include_str!("sql/audit_positions.sql");
        let found = self.ask("read how far the auditor is", sql, &[&&*self.log_name]).await?;
        let read = |row: &Row| {
            Ok(AuditPosition {
                partition: column::<i32>(row, 0)?.unsigned_abs(),
                next: column(row, 1)?,
                again: column(row, 2)?,
                to: column::<Option<i64>>(row, 3)?.map(Millis),
                passed_at: Millis(column(row, 4)?),
            })
        };
        found.iter().map(read).collect()
    }

    /// Notes how far a partition is.
    pub async fn put_position(&self, at: &AuditPosition) -> Result<(), PostgresError> {
        let sql = include_str!("sql/put_audit_position.sql");
        let to = at.to.map(|to| to.0);
        let parameters: Parameters<'_> = &[&&*self.log_name, &number(at.partition), &at.next, &at.again, &to, &at.passed_at.0];
        self.ask("note how far the auditor is", sql, parameters).await.map(drop)
    }

    /// Notes a finding before anything is done about it; one that was repaired and is found again is open again.
    pub async fn note(&self, new: &NewFinding<'_>, now: Millis) -> Result<Noted, PostgresError> {
        let doing = "note what the auditor found";
        let subject: String = new.subject.chars().take(400).collect();
        let parameters: Parameters<'_> = &[
            &Uuid::now_v7(),
            &&*self.log_name,
            &number(new.partition),
            &new.kind.as_str(),
            &new.first,
            &new.last,
            &subject,
            &new.owner.map(|owner| owner.0),
            &shown(new.expected),
            &shown(new.found),
            &now.0,
        ];
        let found = self.ask(doing, include_str!("sql/note_audit_finding.sql"), parameters).await?;
        must_exist(&found, doing)?;
        Ok(Noted {
            id: column(&found[0], 0)?,
            tries: column::<i32>(&found[0], 1)?.unsigned_abs(),
        })
    }

    /// Notes what was done: repaired at a moment, or not, with the reason.
    pub async fn settle(&self, id: Uuid, repaired_at: Option<Millis>, done: &str) -> Result<(), PostgresError> {
        let doing = "settle what the auditor found";
        let sql = include_str!("sql/settle_audit_finding.sql");
        let found = self.ask(doing, sql, &[&id, &repaired_at.map(|at| at.0), &shown(done)]).await?;
        must_exist(&found, doing)
    }

    /// The first [`OPEN_MAX`] findings that are not repaired.
    pub async fn open(&self) -> Result<Vec<Finding>, PostgresError> {
        let sql = include_str!("sql/open_audit_findings.sql");
        let found = self
            .ask("list open findings", sql, &[&&*self.log_name, &i64::from(OPEN_MAX)])
            .await?;
        found.iter().map(finding).collect()
    }

    /// Findings, newest first; what is another's is left out of them.
    pub async fn findings(&self, asks: TenantId, filter: &FindingsFilter, most: u32) -> Result<Vec<Finding>, PostgresError> {
        let sql = include_str!("sql/audit_findings_of.sql");
        let parameters: Parameters<'_> = &[&&*self.log_name, &asks.0, &filter.open, &filter.before, &i64::from(most)];
        let found = self.ask("list what the auditor found", sql, parameters).await?;
        found.iter().map(finding).collect()
    }

    /// How many are open, and how many were repaired since a moment.
    pub async fn counts(&self, since: Millis) -> Result<Counts, PostgresError> {
        let sql = include_str!("sql/count_audit_findings.sql");
        let found = self.ask("count what the auditor found", sql, &[&&*self.log_name, &since.0]).await?;
        let mut counts = Counts::new();
        for row in &found {
            let count = |at| column::<i64>(row, at).map(i64::unsigned_abs);
            if let Some(kind) = FindingKind::parse(column(row, 0)?) {
                counts.insert(kind, (count(1)?, count(2)?));
            }
        }
        Ok(counts)
    }

    /// Forgets findings that were repaired before a moment.
    pub async fn forget(&self, before: Millis) -> Result<(), PostgresError> {
        let sql = include_str!("sql/forget_audit_findings.sql");
        self.ask("forget what the auditor found", sql, &[&before.0]).await.map(drop)
    }
}

/// Partitions are small numbers.
fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn finding(row: &Row) -> Result<Finding, PostgresError> {
    Ok(Finding {
        id: column(row, 0)?,
        partition: column::<i32>(row, 1)?.unsigned_abs(),
        kind: FindingKind::parse(column(row, 2)?),
        first: column(row, 3)?,
        last: column(row, 4)?,
        subject: column(row, 5)?,
        expected: column(row, 6)?,
        found: column(row, 7)?,
        found_at: Millis(column(row, 8)?),
        tries: column::<i32>(row, 9)?.unsigned_abs(),
        repaired_at: column::<Option<i64>>(row, 10)?.map(Millis),
        done: column(row, 11)?,
    })
}
