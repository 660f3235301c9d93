//! What has come through a workspace: its first and last event, and the agents of its calls.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;

use super::client::{Analytics, AnalyticsError, answer};

const EVENTS: &str = include_str!("../../../../clickhouse/queries/workspace_events.sql");
const AGENTS: &str = include_str!("../../../../clickhouse/queries/workspace_agents.sql");
/// Most agents listed: those heard last.
const AGENTS_MAX: u32 = 1_000;

/// Events of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct WorkspaceEvents {
    /// When the door took the first one, ms.
    pub first_at: i64,
    /// And the last one.
    pub last_at: i64,
    /// How many there are; repeats of the same log record may count until they are merged.
    pub records: u64,
}

/// An agent whose calls came through a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct SeenAgent {
    /// Retell's id.
    pub agent_id: String,
    /// Its name, as last heard; may be empty.
    pub name: String,
    /// Calls and chats.
    pub conversations: u64,
    /// When the last event of one of them came, ms.
    pub last_at: i64,
}

impl Analytics {
    /// First and last event of a workspace since `from`; `None` when there was none.
    pub async fn workspace_events(
        &self,
        tenant: TenantId,
        workspace: WorkspaceId,
        from: Millis,
    ) -> Result<Option<WorkspaceEvents>, AnalyticsError> {
        let query = self.ask(EVENTS, tenant.0).param("workspace", workspace.0).param("from", from.0);
        let found: Vec<WorkspaceEvents> = answer("look for the first event of a workspace", query.fetch_all()).await?;
        Ok(found.into_iter().next().filter(|events| events.records > 0))
    }

    /// Agents whose calls came through a workspace since `from`.
    pub async fn workspace_agents(&self, tenant: TenantId, workspace: WorkspaceId, from: Millis) -> Result<Vec<SeenAgent>, AnalyticsError> {
        let query = self
            .ask(AGENTS, tenant.0)
            .param("workspace", workspace.0)
            .param("from", from.0)
            .param("limit", AGENTS_MAX);
        answer("list the agents of a workspace", query.fetch_all()).await
    }
}
