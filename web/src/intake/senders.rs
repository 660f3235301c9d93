//! Who may send: workspaces by the token of their address, with keys ready to use. Read per request without a lock.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwap;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::signature::SigningKey;
use trunkline_stores::postgres::directory::{Directory, WorkspaceEntry};
use trunkline_stores::postgres::{Config, PostgresError};

/// One enabled workspace.
pub struct Sender {
    /// Whose events these are (rule A13).
    pub tenant: TenantId,
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// Every key that is valid now; two during a rotation.
    pub keys: Vec<SigningKey>,
    /// Networks events may come from; empty: any.
    pub sources: Vec<IpNet>,
    own: Ceiling,
    /// Shared by all workspaces of the organisation.
    organisation: Ceiling,
}

/// A ceiling on events a second, with what was used of it.
#[derive(Clone, Default)]
struct Ceiling {
    rate: u32,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Ceiling {
    /// This ceiling; the one from before when it is the same, so that what was used of it counts on.
    fn of(rate: u32, before: Option<&Ceiling>) -> Ceiling {
        match before {
            Some(before) if before.rate == rate => before.clone(),
            _ => Ceiling {
                rate,
                limiter: NonZeroU32::new(rate).map(|rate| Arc::new(RateLimiter::direct(Quota::per_second(rate)))),
            },
        }
    }

    fn holds(&self) -> bool {
        self.limiter.as_ref().is_none_or(|limiter| limiter.check().is_ok())
    }
}

impl Sender {
    /// False when the workspace, or its organisation with all workspaces together, is over its rate.
    pub fn within_rate(&self) -> bool {
        self.own.holds() && self.organisation.holds()
    }
}

/// All senders, replaced as a whole when the configuration changes.
pub struct Senders {
    by_token: ArcSwap<HashMap<String, Arc<Sender>>>,
    default_rate: u32,
}

impl Senders {
    /// The senders of a directory. `default_rate` holds for workspaces without an own one; 0 is none.
    pub fn new(directory: &Directory, default_rate: u32) -> Senders {
        let senders = Senders {
            by_token: ArcSwap::default(),
            default_rate,
        };
        senders.replace(directory);
        senders
    }

    /// The enabled workspace of a token.
    pub fn find(&self, token: &str) -> Option<Arc<Sender>> {
        self.by_token.load().get(token).cloned()
    }

    /// Takes over a changed directory; workspaces whose rate is unchanged keep what they have used of it.
    pub fn replace(&self, directory: &Directory) {
        let before = self.by_token.load_full();
        let held: HashMap<TenantId, &Ceiling> = before.values().map(|sender| (sender.tenant, &sender.organisation)).collect();
        let organisations: HashMap<TenantId, Ceiling> = directory
            .organisations
            .iter()
            .map(|(id, entry)| (*id, Ceiling::of(entry.intake_per_second.unwrap_or(0), held.get(id).copied())))
            .collect();
        let now = directory
            .by_token
            .iter()
            .filter(|(_, entry)| entry.enabled)
            .map(|(token, entry)| {
                let organisation = organisations.get(&entry.tenant).cloned().unwrap_or_default();
                (token.clone(), Arc::new(self.sender(entry, before.get(token), organisation)))
            })
            .collect();
        self.by_token.store(Arc::new(now));
    }

    fn sender(&self, entry: &WorkspaceEntry, before: Option<&Arc<Sender>>, organisation: Ceiling) -> Sender {
        let rate = entry.rate_per_second.unwrap_or(self.default_rate);
        Sender {
            tenant: entry.tenant,
            workspace: entry.workspace,
            keys: entry.signing_keys.iter().map(|key| SigningKey::from(key.expose_secret())).collect(),
            sources: entry
                .allowed_sources
                .iter()
                .filter_map(|text| network(text, entry.workspace))
                .collect(),
            own: Ceiling::of(rate, before.map(|before| &before.own)),
            organisation,
        }
    }

    /// Reads the configuration now, for a change that must not wait for its notification.
    pub async fn refresh(&self, config: &Config) -> Result<(), PostgresError> {
        self.replace(&config.directory().await?);
        Ok(())
    }

    /// Follows the configuration until its sender is gone.
    pub async fn follow(self: Arc<Self>, mut directory: watch::Receiver<Arc<Directory>>) {
        while directory.changed().await.is_ok() {
            let now = directory.borrow_and_update().clone();
            self.replace(&now);
        }
    }
}

/// A list with an entry we cannot read would otherwise be shorter than meant; an empty one would let everybody in.
fn network(text: &str, workspace: WorkspaceId) -> Option<IpNet> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    if network.is_err() {
        tracing::error!(%workspace, "a source network of this workspace cannot be read; write it like 10.0.0.0/8");
    }
    network.ok()
}
