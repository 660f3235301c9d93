//! The few handles a request may touch; pages and API share them.

use std::sync::{Arc, LazyLock};

use tokio::sync::watch;
use trunkline_actors::{EffectsWatcher, FactsWatcher, Live};
use trunkline_connectors::dns::Dns;
use trunkline_connectors::oidc::OidcClient;
use trunkline_stores::clickhouse::Analytics;
use trunkline_stores::log::EventLog;
use trunkline_stores::postgres::auditor::AuditBook;
use trunkline_stores::postgres::effects::Effects;
use trunkline_stores::postgres::{Config, Directory};
use trunkline_stores::spool::Keeper;

use crate::api::cursor::CursorKey;
use crate::api::seen::Views;
use crate::identity::access_token::TokenKeys;
use crate::identity::limits::Limits;
use crate::identity::pairing::Pairings;
use crate::identity::password::Passwords;
use crate::identity::sign_in::Attempts;
use crate::settings::Settings;
use crate::shutdown::Lifecycle;
use crate::stream::Streams;

/// Which build this is.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Build {
    /// Version of the package.
    pub version: &'static str,
    /// Commit, when the build knew it.
    pub commit: &'static str,
}

/// The running build.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("TRUNKLINE_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    },
};

/// What `--version` shows.
pub fn version_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{} ({})", BUILD.version, BUILD.commit));
    &TEXT
}

/// Handles for requests; cheap to clone, one per listener thread.
#[derive(Clone)]
pub struct AppState {
    /// Settings in force.
    pub settings: Arc<Settings>,
    /// Starting, ready, leaving.
    pub lifecycle: Lifecycle,
    /// Configuration: users, businesses, workspaces.
    pub config: Config,
    /// Configuration in memory, as the engine sees it.
    pub directory: watch::Receiver<Arc<Directory>>,
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The intake's way into it, and what waits there; in a process that has the intake.
    pub keeper: Option<Arc<Keeper>>,
    /// Stored calls.
    pub analytics: Analytics,
    /// Live figures.
    pub live: Live,
    /// How far the facts group is.
    pub facts: FactsWatcher,
    /// How far the effects group is, when it is in this process.
    pub effects: Option<EffectsWatcher>,
    /// What the auditor found, wherever it runs.
    pub audits: AuditBook,
    /// What calls used, and how far the effects group is over all processes.
    pub ledger: Effects,
    /// Open streams.
    pub streams: Arc<Streams>,
    /// Signs page cursors.
    pub cursors: CursorKey,
    /// Password checks.
    pub passwords: Passwords,
    /// Keys of access tokens, as read a moment ago.
    pub token_keys: Arc<TokenKeys>,
    /// Asks providers of single sign-on.
    pub oidc: OidcClient,
    /// Asks DNS whose mail domains are.
    pub dns: Dns,
    /// Wrong tries to sign in.
    pub attempts: Arc<Attempts>,
    /// Screens that wait for their link.
    pub pairings: Arc<Pairings>,
    /// How often callers may ask.
    pub limits: Arc<Limits>,
    /// Calls that were opened a moment ago.
    pub views: Arc<Views>,
}
