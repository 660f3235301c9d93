//! Organisations as those see them who run the platform.

use serde::Serialize;
use trunkline_core::id::{OpeningId, TenantId, UserId};
use trunkline_core::instant::Millis;

/// What of an organisation the platform may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrganisationState {
    /// Its name.
    pub name: String,
    /// What was agreed on, in the platform's words; may be empty.
    pub plan: String,
    /// Since when nobody of it is let in.
    pub suspended_at: Option<Millis>,
    /// Why; empty when it is not suspended.
    pub suspended_why: String,
    /// Events a second of all its workspaces together.
    pub intake_per_second: Option<u32>,
    /// Calls at once that were agreed on.
    pub concurrency_limit: Option<u32>,
    /// API keys that are accepted at the same time.
    pub api_keys_max: Option<u32>,
}

/// An organisation as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationListed {
    /// Its id.
    pub id: TenantId,
    /// What can be changed.
    pub state: OrganisationState,
    /// Since when.
    pub created_at: Millis,
    /// People who may sign in.
    pub people: u64,
    /// Businesses, those of unassigned calls included.
    pub businesses: u64,
    /// Workspaces that take events.
    pub workspaces: u64,
    /// API keys that are accepted.
    pub api_keys: u64,
    /// Endpoints of webhooks that do not take them.
    pub failing_webhooks: u64,
}

/// That an organisation's data is open to somebody of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Whose data.
    pub tenant: TenantId,
    /// Which opening.
    pub id: OpeningId,
    /// Name of the organisation.
    pub organisation: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: Millis,
    /// Until when.
    pub expires_at: Millis,
}

/// An opening as the organisation sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningListed {
    /// Which.
    pub id: OpeningId,
    /// Who opened it.
    pub opened_by: UserId,
    /// Their name at that time.
    pub opened_name: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: Millis,
    /// Until when at the latest.
    pub expires_at: Millis,
    /// When it was closed before.
    pub ended_at: Option<Millis>,
}

impl OpeningListed {
    /// Whether the data is open at `now`.
    pub fn holds(&self, now: Millis) -> bool {
        self.ended_at.is_none() && self.expires_at > now
    }
}
