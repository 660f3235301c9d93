//! Rows of the configuration as the product sees them.

mod invitation;
mod platform;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use trunkline_core::access::{Grant, Role};
use trunkline_core::id::{BusinessId, KeyId, TenantId, UserId, WorkspaceId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

pub use invitation::{InvitationListed, Invited, NewInvitation};
pub use platform::{Opening, OpeningListed, OrganisationListed, OrganisationState};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Organisation {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
}

/// A person who may sign in.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: UserId,
    /// Address, lower case.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// Role everywhere in the organisation, if any.
    pub role: Option<Role>,
    /// argon2id in PHC form.
    pub password_hash: SecretString,
    /// True: may not sign in.
    pub disabled: bool,
}

/// What a person may do at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonState {
    /// Role everywhere in the organisation, if any.
    pub role: Option<Role>,
    /// Roles in single businesses, by business.
    pub grants: Vec<Grant>,
    /// True: may not sign in.
    pub disabled: bool,
}

/// A person as listed: never the password.
#[derive(Debug, Clone)]
pub struct UserListed {
    /// Its id.
    pub id: UserId,
    /// Address, lower case.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// What they may do.
    pub state: PersonState,
    /// Since when.
    pub created_at: Millis,
    /// Last request of a living session, to the minute.
    pub last_seen_at: Option<Millis>,
    /// Sessions, the unseen ones included.
    pub sessions: u64,
}

/// Which part of a list that is ordered by id.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Only later ones.
    pub after: Option<Uuid>,
    /// Only earlier ones, and of those the last.
    pub before: Option<Uuid>,
    /// This many at most; one more is given when there are more.
    pub limit: u32,
}

impl Span {
    /// The first ones.
    pub fn first(limit: u32) -> Span {
        Span {
            after: None,
            before: None,
            limit,
        }
    }

    pub(super) fn most(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A person to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Address; kept in lower case.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// Role everywhere in the organisation; none for people of single businesses.
    pub role: Option<Role>,
    /// Roles in single businesses.
    pub grants: Vec<Grant>,
    /// argon2id in PHC form.
    pub password_hash: SecretString,
}

/// SHA-256 of a token or key: what is stored of it.
pub type Hash32 = [u8; 32];

/// A session to be created.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Who signed in.
    pub user: UserId,
    /// Hash of the cookie's value.
    pub token_hash: Hash32,
    /// Now.
    pub created_at: Millis,
    /// When it ends whatever happens.
    pub expires_at: Millis,
    /// It ends after this long unseen.
    pub idle_ms: i64,
    /// Address it begins from; empty when unknown.
    pub source: String,
    /// What the browser or program calls itself, cut to 300 characters.
    pub device: String,
}

/// A living session.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Whose.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    /// Address.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// Role everywhere in the organisation, if any.
    pub role: Option<Role>,
    /// Roles in single businesses.
    pub grants: Vec<Grant>,
    /// Since when.
    pub created_at: Millis,
    /// Until when at the latest.
    pub expires_at: Millis,
    /// A second factor is in use.
    pub has_factor: bool,
    /// The organisation demands one of this person.
    pub needs_factor: bool,
}

/// An API key to be created.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// What it is for.
    pub name: String,
    /// Hash of the key.
    pub key_hash: Hash32,
    /// Its last four characters, to recognise it by.
    pub last_four: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Where; empty: everywhere in the organisation.
    pub businesses: Vec<BusinessId>,
    /// Not accepted from then on.
    pub expires_at: Option<Millis>,
    /// Who made it.
    pub created_by: Option<UserId>,
}

/// An API key that was presented.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: KeyId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Where; empty: everywhere in the organisation.
    pub businesses: Vec<BusinessId>,
}

/// An API key as listed: never the key.
#[derive(Debug, Clone, Serialize)]
pub struct ApiKeyListed {
    /// Its id.
    pub id: KeyId,
    /// What it is for.
    pub name: String,
    /// Last four characters.
    pub last_four: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Where; empty: everywhere in the organisation.
    pub businesses: Vec<BusinessId>,
    /// Since when it is no longer accepted.
    pub revoked_at: Option<Millis>,
    /// Not accepted from then on.
    pub expires_at: Option<Millis>,
    /// When it was used, to the minute.
    pub last_used_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// Name of who made it; `None`: the command line, a program, or somebody who has left.
    pub created_by: Option<String>,
}

impl ApiKeyListed {
    /// Whether it is accepted at `now`.
    pub fn holds(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

/// A business.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Business {
    /// Its id.
    pub id: BusinessId,
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

/// A business to be created.
#[derive(Debug, Clone, Serialize)]
pub struct NewBusiness {
    /// Its name.
    pub name: String,
    /// IANA time zone; refused when unknown.
    pub zone: String,
    /// Minute of the local day at which its day begins.
    pub day_start_minute: u16,
    /// Calls at once that its plan allows.
    pub concurrency_limit: Option<u32>,
    /// Targets by metric id: a JSON object.
    pub targets: serde_json::Value,
}

impl NewBusiness {
    /// A business that begins its day at midnight and has no limit and no targets.
    pub fn plain(name: impl Into<String>, zone: impl Into<String>) -> Self {
        let targets = serde_json::Value::Object(serde_json::Map::new());
        Self {
            name: name.into(),
            zone: zone.into(),
            day_start_minute: 0,
            concurrency_limit: None,
            targets,
        }
    }
}

/// Which business an agent belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentMapping {
    /// Retell's agent id.
    pub agent_id: String,
    /// Its business.
    pub business: BusinessId,
    /// Name shown; may be empty.
    pub name: String,
}

/// A workspace with its keys, which must not be shown.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// False: its address answers 404.
    pub enabled: bool,
    /// Where calls of unmapped agents go.
    pub unassigned: BusinessId,
    /// Networks its events may come from; empty: any.
    pub allowed_sources: Vec<String>,
    /// Ceiling on events a second; none unless set.
    pub rate_per_second: Option<u32>,
    /// When it was linked.
    pub created_at: Millis,
    /// What its intake address ends in.
    pub token: String,
    /// Keys that sign its events; the newest last.
    pub signing_keys: Vec<SecretString>,
    /// Key for Retell's own API.
    pub api_key: Option<SecretString>,
}

impl Workspace {
    /// Whether nothing that can be changed differs.
    pub fn same(&self, other: &Workspace) -> bool {
        let keys = |workspace: &Workspace| -> Vec<String> {
            let all = workspace.signing_keys.iter().map(Some).chain([workspace.api_key.as_ref()]);
            all.map(|key| key.map(ExposeSecret::expose_secret).unwrap_or_default().to_owned())
                .collect()
        };
        (self.id, &self.name, self.enabled, &self.allowed_sources, self.rate_per_second)
            == (other.id, &other.name, other.enabled, &other.allowed_sources, other.rate_per_second)
            && keys(self) == keys(other)
    }
}

/// A workspace to be created, with its own Unassigned business.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Its name.
    pub name: String,
    /// What its intake address ends in; 16 to 128 characters, made by the caller from a secure source.
    pub token: String,
    /// Keys that sign its events; one, or two during rotation.
    pub signing_keys: Vec<SecretString>,
    /// Key for Retell's own API, when calls may be fetched.
    pub api_key: Option<SecretString>,
    /// Time zone of its Unassigned business.
    pub zone: String,
}

/// Something that was seen and that a person should look at.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// Where.
    pub workspace: WorkspaceId,
    /// What it is, for example `unmapped_agent`.
    pub kind: &'a str,
    /// Which one, for example the agent's id; no personal data.
    pub subject: &'a str,
    /// How often, since it was last noted.
    pub times: u64,
    /// The last time.
    pub at: Millis,
}

/// Something a person should look at, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Where it was seen.
    pub workspace: WorkspaceId,
    /// What it is, for example `unmapped_agent`.
    pub kind: String,
    /// Which one, for example the agent's id.
    pub subject: String,
    /// First time.
    pub first_seen: Millis,
    /// Last time.
    pub last_seen: Millis,
    /// How often.
    pub seen: u64,
}
