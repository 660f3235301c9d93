//! Notices: things a person should look at, one for each thing however often it is seen.

use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;

use super::{Config, column, must_exist};
use crate::postgres::PostgresError;
use crate::postgres::row::{Notice, Sighting};

/// Longest subject kept, in characters; what is longer is cut, since a notice only has to be recognised.
const SUBJECT_CHARS: usize = 256;

impl Config {
    /// Notes that something was seen; a notice that was settled is open again.
    pub async fn note(&self, tenant: TenantId, sighting: &Sighting<'_>) -> Result<(), PostgresError> {
        let Sighting {
            workspace,
            kind,
            subject,
            times,
            at,
        } = sighting;
        let subject: String = subject.chars().take(SUBJECT_CHARS).collect();
        let times = i64::try_from(*times).unwrap_or(i64::MAX);
        let sql = include_str!("../sql/note.sql");
        self.ask_within(
            tenant,
            "note something",
            sql,
            &[&tenant.0, &workspace.0, kind, &subject, &at.0, &times],
        )
        .await?;
        Ok(())
    }

    /// Open notices of a tenant, last seen first.
    pub async fn notices(&self, tenant: TenantId) -> Result<Vec<Notice>, PostgresError> {
        let found = self
            .ask_within(tenant, "list notices", include_str!("../sql/notices.sql"), &[])
            .await?;
        let read = |row| {
            Ok(Notice {
                workspace: WorkspaceId(column(row, 0)?),
                kind: column(row, 1)?,
                subject: column(row, 2)?,
                first_seen: Millis(column(row, 3)?),
                last_seen: Millis(column(row, 4)?),
                seen: column::<i64>(row, 5)?.unsigned_abs(),
            })
        };
        found.iter().map(read).collect()
    }

    /// Marks a notice as dealt with.
    pub async fn settle_notice(&self, tenant: TenantId, workspace: WorkspaceId, kind: &str, subject: &str) -> Result<(), PostgresError> {
        let doing = "settle a notice";
        let sql = include_str!("../sql/settle_notice.sql");
        must_exist(&self.ask_within(tenant, doing, sql, &[&workspace.0, &kind, &subject]).await?, doing)
    }
}
