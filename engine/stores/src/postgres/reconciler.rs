//! What the reconciler keeps: how far each workspace is, whose turn it is, and what was found.

use std::collections::HashMap;

use tokio_postgres::Row;
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::reconcile::Difference;
use uuid::Uuid;

use super::config::{column, must_exist};
use super::{Config, PostgresError, shown};

pub use super::turn::Turn;

/// How far a workspace has been compared with Retell's list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every call that ended before this was compared.
    pub to: Option<Millis>,
    /// When the last pass ended well.
    pub passed_at: Option<Millis>,
    /// When a pass last looked far back.
    pub deep_at: Option<Millis>,
    /// When webhook settings were last read.
    pub audited_at: Option<Millis>,
    /// When the next pass is due.
    pub next_at: Millis,
    /// Passes that failed since the last one that did not.
    pub failures: u32,
    /// Why the last one failed; empty when it did not.
    pub waits_for: String,
}

/// What is new about a call.
#[derive(Debug, Clone, Copy)]
pub struct NewFinding<'a> {
    /// Which call.
    pub call_id: &'a str,
    /// What is wrong with it.
    pub difference: Difference,
    /// Its agent; empty if Retell does not say.
    pub agent_id: &'a str,
    /// When it ended, by Retell.
    pub ended_at: Option<Millis>,
}

/// A finding just noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// Which.
    pub id: Uuid,
    /// How often its events were filled in before.
    pub tries: u32,
}

/// A finding as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which; later ones are greater.
    pub id: Uuid,
    /// Whose list it was.
    pub workspace: WorkspaceId,
    /// Which call.
    pub call_id: String,
    /// What was wrong with it; `None` for a word of a later version.
    pub difference: Option<Difference>,
    /// Its agent; empty if Retell did not say.
    pub agent_id: String,
    /// When it ended, by Retell.
    pub ended_at: Option<Millis>,
    /// When it was first found.
    pub found_at: Millis,
    /// How often its events were filled in.
    pub tries: u32,
    /// Names of the events that were filled in.
    pub filled: Vec<String>,
    /// When nothing was missing any more.
    pub healed_at: Option<Millis>,
    /// Why it is not healed; may be empty.
    pub problem: String,
}

/// Which findings.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindingsFilter {
    /// Of one workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only those that are not healed.
    pub open: bool,
    /// Only those older than this one.
    pub before: Option<Uuid>,
}

/// What boards say of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Up to where all workspaces with a key are compared; `None` while one of them never was.
    pub to: Option<Millis>,
    /// Findings healed since the moment asked for.
    pub healed: u64,
    /// Findings that are not.
    pub open: u64,
    /// Workspaces whose last pass failed.
    pub waiting: u64,
}

impl Config {
    /// Takes the turn to compare a workspace; `None` while another process has it.
    pub async fn reconciler_turn(&self, workspace: WorkspaceId) -> Result<Option<Turn>, PostgresError> {
        self.database()
            .turn("take a turn of the reconciler", &format!("reconciler {workspace}"))
            .await
    }

    /// How far the workspaces of a tenant are; those that were never compared are left out.
    pub async fn reconciled(
        &self,
        tenant: TenantId,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<(WorkspaceId, Progress)>, PostgresError> {
        let workspace = workspace.map(|workspace| workspace.0);
        let sql = include_str!("sql/reconciled.sql");
        let found = self
            .ask_within(tenant, "read how far the reconciler is", sql, &[&workspace])
            .await?;
        let moment = |row: &Row, at| column::<Option<i64>>(row, at).map(|ms| ms.map(Millis));
        let read = |row: &Row| {
            let progress = Progress {
                to: moment(row, 1)?,
                passed_at: moment(row, 2)?,
                deep_at: moment(row, 3)?,
                audited_at: moment(row, 4)?,
                next_at: Millis(column(row, 5)?),
                failures: column::<i32>(row, 6)?.unsigned_abs(),
                waits_for: column(row, 7)?,
            };
            Ok((WorkspaceId(column(row, 0)?), progress))
        };
        found.iter().map(read).collect()
    }

    /// Notes how far a workspace is. How far it is compared never goes back.
    pub async fn put_reconciled(&self, tenant: TenantId, workspace: WorkspaceId, progress: &Progress) -> Result<(), PostgresError> {
        let ms = |at: Option<Millis>| at.map(|at| at.0);
        let failures = i32::try_from(progress.failures).unwrap_or(i32::MAX);
        let (to, passed, deep, audited) = (
            ms(progress.to),
            ms(progress.passed_at),
            ms(progress.deep_at),
            ms(progress.audited_at),
        );
        self.ask_within(
            tenant,
            "note how far the reconciler is",
            include_str!("sql/put_reconciled.sql"),
            &[
                &tenant.0,
                &workspace.0,
                &to,
                &passed,
                &deep,
                &audited,
                &progress.next_at.0,
                &failures,
                &shown(&progress.waits_for),
            ],
        )
        .await?;
        Ok(())
    }

    /// Notes a finding before anything is done about it; one that was healed and is found again is open again.
    pub async fn note_finding(
        &self,
        tenant: TenantId,
        workspace: WorkspaceId,
        new: &NewFinding<'_>,
        now: Millis,
    ) -> Result<Noted, PostgresError> {
        let doing = "note a finding";
        let ended = new.ended_at.map(|at| at.0);
        let agent: String = new.agent_id.chars().take(256).collect();
        let found = self
            .ask_within(
                tenant,
                doing,
                include_str!("sql/note_finding.sql"),
                &[
                    &tenant.0,
                    &Uuid::now_v7(),
                    &workspace.0,
                    &new.call_id,
                    &new.difference.as_str(),
                    &agent,
                    &ended,
                    &now.0,
                ],
            )
            .await?;
        must_exist(&found, doing)?;
        Ok(Noted {
            id: column(&found[0], 0)?,
            tries: column::<i32>(&found[0], 1)?.unsigned_abs(),
        })
    }

    /// Notes what was done about a finding: events filled in (none: those of before stay), and healed at a moment, or why not.
    pub async fn settle_finding(
        &self,
        tenant: TenantId,
        workspace: WorkspaceId,
        id: Uuid,
        filled: &[&str],
        settled: Result<Millis, &str>,
    ) -> Result<(), PostgresError> {
        let doing = "settle a finding";
        let (healed, problem) = match settled {
            Ok(at) => (Some(at.0), String::new()),
            Err(problem) => (None, shown(problem)),
        };
        let sql = include_str!("sql/settle_finding.sql");
        let found = self
            .ask_within(tenant, doing, sql, &[&id, &workspace.0, &filled, &healed, &problem])
            .await?;
        must_exist(&found, doing)
    }

    /// Findings of a tenant, newest first.
    pub async fn findings(&self, tenant: TenantId, filter: &FindingsFilter, most: u32) -> Result<Vec<Finding>, PostgresError> {
        let workspace = filter.workspace.map(|workspace| workspace.0);
        let sql = include_str!("sql/findings.sql");
        let parameters: super::config::Parameters<'_> = &[&workspace, &filter.open, &filter.before, &i64::from(most)];
        let found = self.ask_within(tenant, "list findings", sql, parameters).await?;
        let read = |row: &Row| {
            Ok(Finding {
                id: column(row, 0)?,
                workspace: WorkspaceId(column(row, 1)?),
                call_id: column(row, 2)?,
                difference: Difference::parse(column(row, 3)?),
                agent_id: column(row, 4)?,
                ended_at: column::<Option<i64>>(row, 5)?.map(Millis),
                found_at: Millis(column(row, 6)?),
                tries: column::<i32>(row, 7)?.unsigned_abs(),
                filled: column(row, 8)?,
                healed_at: column::<Option<i64>>(row, 9)?.map(Millis),
                problem: column(row, 10)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Forgets findings that were healed before a moment.
    pub async fn forget_findings(&self, tenant: TenantId, before: Millis) -> Result<(), PostgresError> {
        let sql = include_str!("sql/forget_findings.sql");
        self.ask_within(tenant, "forget findings", sql, &[&before.0]).await?;
        Ok(())
    }

    /// What boards say of every tenant with a workspace that has a key; healed is counted from `since` on.
    pub async fn reconciler_summary(&self, since: Millis) -> Result<HashMap<TenantId, Summary>, PostgresError> {
        let sql = include_str!("sql/reconciler_summary.sql");
        let found = self.ask("sum up the reconciler", sql, &[&since.0]).await?;
        let count = |row: &Row, at| column::<i64>(row, at).map(i64::unsigned_abs);
        let read = |row: &Row| {
            let summary = Summary {
                to: column::<Option<i64>>(row, 1)?.map(Millis),
                healed: count(row, 2)?,
                open: count(row, 3)?,
                waiting: count(row, 4)?,
            };
            Ok((TenantId(column(row, 0)?), summary))
        };
        found.iter().map(read).collect()
    }
}
