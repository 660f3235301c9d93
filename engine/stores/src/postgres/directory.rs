//! Everything the hot path must know of the configuration, in memory: nothing is asked of Postgres per event.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;
use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};

/// One workspace as the intake sees it.
#[derive(Debug, Clone)]
pub struct WorkspaceEntry {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// False: its address answers 404.
    pub enabled: bool,
    /// Keys that sign its events.
    pub signing_keys: Vec<SecretString>,
    /// Networks (CIDR) its events may come from; empty: any.
    pub allowed_sources: Vec<String>,
    /// Ceiling on events a second; none unless set.
    pub rate_per_second: Option<u32>,
    /// Key for Retell's own API.
    pub api_key: Option<SecretString>,
}

/// One business as the engine sees it.
#[derive(Debug, Clone)]
pub struct BusinessEntry {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub zone: String,
    /// Minute of the local day at which its day begins.
    pub day_start_minute: u16,
    /// Calls at once that its plan allows.
    pub concurrency_limit: Option<u32>,
    /// Targets by metric id.
    pub targets: serde_json::Value,
}

/// One organisation as every process knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrganisationEntry {
    /// Its name.
    pub name: String,
    /// Nobody of it is let in; its events are kept.
    pub suspended: bool,
    /// Ceiling on events a second of all its workspaces together; none unless set.
    pub intake_per_second: Option<u32>,
    /// Calls at once that were agreed on.
    pub concurrency_limit: Option<u32>,
}

/// The configuration of the whole platform at one moment.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Workspaces by intake token.
    pub by_token: HashMap<String, Arc<WorkspaceEntry>>,
    /// Business of each mapped agent.
    pub agents: HashMap<(TenantId, String), BusinessId>,
    /// Where calls of unmapped agents go.
    pub unassigned: HashMap<WorkspaceId, BusinessId>,
    /// Businesses by id.
    pub businesses: HashMap<BusinessId, BusinessEntry>,
    /// Organisations by id, but for the platform's own.
    pub organisations: HashMap<TenantId, OrganisationEntry>,
    /// The organisation of those who run the platform, once there is somebody.
    pub platform: Option<TenantId>,
    /// Fingerprint of the contents: equal exactly when nothing has changed.
    pub version: u64,
}

impl Directory {
    /// Whether nobody of an organisation is let in.
    pub fn is_suspended(&self, tenant: TenantId) -> bool {
        self.organisations.get(&tenant).is_some_and(|organisation| organisation.suspended)
    }

    /// The business a call belongs to: its agent's, or the workspace's Unassigned; nothing when the workspace is unknown.
    pub fn business_of(&self, tenant: TenantId, workspace: WorkspaceId, agent_id: Option<&str>) -> Option<BusinessId> {
        agent_id
            .and_then(|agent| self.agents.get(&(tenant, agent.to_owned())).copied())
            .or_else(|| self.unassigned.get(&workspace).copied())
    }
}
