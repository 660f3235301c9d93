//! Retell workspaces: linked with a key that is tried at once, keys rotated without losing an event, senders limited.

use ipnet::IpNet;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use trunkline_connectors::retell::{Client, RetellError};
use trunkline_core::access::Permission;
use trunkline_core::id::WorkspaceId;
use trunkline_stores::postgres::row::{NewWorkspace, Workspace};

use super::{Wrong, refused, until_known};
use crate::error::Problem;
use crate::identity::Caller;
use crate::state::AppState;

/// Workspaces of one organisation: more are a loop in somebody's script.
const WORKSPACES_MAX: usize = 500;
/// Keys that are valid at the same time: the old and the new one of a rotation.
pub const SIGNING_KEYS_MAX: usize = 2;
/// Networks listed for one workspace.
const SOURCES_MAX: usize = 50;
/// Most events a second that a limit may say.
const RATE_MAX: u32 = 100_000;
/// Lengths of keys, in bytes: Retell's have 36; shorter ones can be guessed.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=200;
/// Bytes of the random end of an intake address (S-065: at least 128 bits).
const TOKEN_BYTES: usize = 20;

/// What Retell said of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It is good, and belongs to the workspace of this name.
    Accepted(String),
    /// Retell gave no verdict; the key is kept untested.
    NoAnswer(String),
}

/// What links a workspace.
pub struct Link {
    /// Its name.
    pub name: String,
    /// Time zone of its Unassigned business.
    pub time_zone: String,
    /// Key of Retell's API; also signs events unless another one does.
    pub api_key: Option<SecretString>,
    /// Key that signs events, when it is another one.
    pub signing_key: Option<SecretString>,
}

/// Workspaces of the organisation.
pub async fn all(state: &AppState, caller: &Caller) -> Result<Vec<Workspace>, Problem> {
    caller.needs(Permission::Workspaces)?;
    let found = state.config.workspaces(caller.tenant, None).await;
    found.map_err(|error| refused("list workspaces", error))
}

/// One workspace of the organisation.
pub async fn find(state: &AppState, caller: &Caller, id: &str) -> Result<Workspace, Problem> {
    caller.needs(Permission::Workspaces)?;
    let id: WorkspaceId = id.parse().map_err(|_| Problem::not_found())?;
    let found = state.config.workspaces(caller.tenant, Some(id)).await;
    let found = found.map_err(|error| refused("read a workspace", error))?;
    found.into_iter().next().ok_or_else(Problem::not_found)
}

/// Links a workspace. A key that Retell refuses links nothing.
pub async fn link(state: &AppState, caller: &Caller, link: Link) -> Result<(Workspace, Option<Trial>), Problem> {
    let before = all(state, caller).await?;
    let mut wrong = Wrong::default();
    let name = wrong.name("/name", &link.name);
    if TimeZone::get(&link.time_zone).is_err() {
        wrong.field(
            "/time_zone",
            "unknown_zone",
            "There is no such time zone; write an IANA name such as Europe/Madrid.",
        );
    }
    let api_key = link.api_key.and_then(|key| readable(&mut wrong, "/api_key", key));
    let signing_key = link.signing_key.and_then(|key| readable(&mut wrong, "/signing_key", key));
    let signing_key = signing_key.or_else(|| api_key.clone());
    if signing_key.is_none() && wrong.is_empty() {
        wrong.field(
            "/api_key",
            "no_key",
            "A key is needed: the one with the webhook mark, from Retell's page of API keys.",
        );
    }
    if before.len() >= WORKSPACES_MAX {
        wrong.field("/name", "too_many", format!("There are {WORKSPACES_MAX} workspaces already."));
    }
    wrong.end()?;
    let trial = match &api_key {
        Some(key) => Some(tried(state, key).await?),
        None => None,
    };
    let new = NewWorkspace {
        name,
        token: hex::encode(rand::random::<[u8; TOKEN_BYTES]>()),
        signing_keys: signing_key.into_iter().collect(),
        api_key,
        zone: link.time_zone,
    };
    let id = state
        .config
        .create_workspace(caller.tenant, &caller.by(), &new)
        .await
        .map_err(|error| refused("link a workspace", error))?;
    until_known(state, |directory| directory.unassigned.contains_key(&id)).await;
    Ok((find(state, caller, &id.to_string()).await?, trial))
}

/// What may be changed of a workspace beside its keys.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Another name.
    pub name: Option<String>,
    /// Open or close its address.
    pub enabled: Option<bool>,
    /// Networks events may come from; empty: any.
    pub allowed_sources: Option<Vec<String>>,
    /// Most events a second; `Some(None)`: no ceiling of its own.
    pub events_per_second: Option<Option<u32>>,
    /// Another API key; `Some(None)` removes it.
    pub api_key: Option<Option<SecretString>>,
}

/// Changes a workspace that is still as `before` says. A key that Retell refuses changes nothing.
pub async fn change(state: &AppState, caller: &Caller, before: &Workspace, change: Change) -> Result<(Workspace, Option<Trial>), Problem> {
    caller.needs(Permission::Workspaces)?;
    let mut after = before.clone();
    let mut wrong = Wrong::default();
    if let Some(name) = change.name {
        after.name = wrong.name("/name", &name);
    }
    after.enabled = change.enabled.unwrap_or(before.enabled);
    if let Some(sources) = change.allowed_sources {
        after.allowed_sources = networks(&mut wrong, &sources);
    }
    if let Some(rate) = change.events_per_second {
        if rate.is_some_and(|rate| !(1..=RATE_MAX).contains(&rate)) {
            wrong.field(
                "/events_per_second",
                "out_of_range",
                format!("Write 1 to {RATE_MAX}, or leave it out."),
            );
        }
        after.rate_per_second = rate;
    }
    let fresh = match change.api_key {
        Some(key) => {
            after.api_key = key.and_then(|key| readable(&mut wrong, "/api_key", key));
            after.api_key.clone()
        }
        None => None,
    };
    wrong.end()?;
    let trial = match fresh {
        Some(key) => Some(tried(state, &key).await?),
        None => None,
    };
    keep(state, caller, before, &after).await?;
    Ok((after, trial))
}

/// Adds a signing key beside the one in force, or, when two are, refuses.
pub async fn add_signing_key(state: &AppState, caller: &Caller, before: &Workspace, key: SecretString) -> Result<Workspace, Problem> {
    let mut wrong = Wrong::default();
    let key = readable(&mut wrong, "/key", key);
    if before.signing_keys.len() >= SIGNING_KEYS_MAX {
        wrong.field("/key", "too_many_keys", "Two keys are valid already; remove the old one first.");
    }
    if key
        .as_ref()
        .is_some_and(|key| before.signing_keys.iter().any(|held| key_id(held) == key_id(key)))
    {
        wrong.field("/key", "same_key", "This key is valid already.");
    }
    wrong.end()?;
    let mut after = before.clone();
    after.signing_keys.extend(key);
    keep(state, caller, before, &after).await?;
    Ok(after)
}

/// Removes a signing key, but never the last one.
pub async fn remove_signing_key(state: &AppState, caller: &Caller, before: &Workspace, id: &str) -> Result<Workspace, Problem> {
    let mut after = before.clone();
    after.signing_keys.retain(|key| key_id(key) != id);
    if after.signing_keys.len() == before.signing_keys.len() {
        return Err(Problem::not_found());
    }
    if after.signing_keys.is_empty() {
        return Err(Problem::field(
            "/key",
            "last_key",
            "This is the only key; add its successor first, or close the workspace.",
        ));
    }
    keep(state, caller, before, &after).await?;
    Ok(after)
}

async fn keep(state: &AppState, caller: &Caller, before: &Workspace, after: &Workspace) -> Result<(), Problem> {
    caller.needs(Permission::Workspaces)?;
    let done = state.config.change_workspace(caller.tenant, &caller.by(), before, after).await;
    done.map_err(|error| refused("change a workspace", error))
}

/// What programs name a key by: the beginning of its hash.
pub fn key_id(key: &SecretString) -> String {
    format!("wk_{}", &hex::encode(Sha256::digest(key.expose_secret()))[..16])
}

/// The address to paste at Retell.
pub fn webhook_url(state: &AppState, workspace: &Workspace) -> String {
    format!("{}/v1/retell/{}", state.settings.intake.origin(), workspace.token)
}

/// Asks Retell whose the key is, while the person waits.
async fn tried(state: &AppState, key: &SecretString) -> Result<Trial, Problem> {
    let asked = match Client::probing(&state.settings.retell.api_url, key.clone()) {
        Ok(client) => client.key_info().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(info) => Ok(Trial::Accepted(info.org_name)),
        Err(RetellError::Key(401)) => Err(Problem::field(
            "/api_key",
            "key_refused",
            "Retell does not know this key. Nothing was saved; copy the key again from Retell's page of API keys.",
        )),
        Err(RetellError::Key(_)) => Err(Problem::field(
            "/api_key",
            "key_without_access",
            "Retell knows this key and gives it no access. Nothing was saved; allow it there, or use another one.",
        )),
        Err(error) => {
            tracing::warn!(%error, "a workspace's API key could not be tried");
            Ok(Trial::NoAnswer(error.to_string()))
        }
    }
}

fn readable(wrong: &mut Wrong, pointer: &str, key: SecretString) -> Option<SecretString> {
    let text = key.expose_secret().trim();
    if text.is_empty() {
        return None;
    }
    if !KEY_BYTES.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        wrong.field(
            pointer,
            "bad_key",
            "This is no key of Retell: it is one word of at least 16 letters and digits.",
        );
        return None;
    }
    Some(SecretString::from(text.to_owned()))
}

fn networks(wrong: &mut Wrong, texts: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        match network {
            // As the database keeps it: without bits beyond the prefix.
            Ok(network) => found.push(network.trunc().to_string()),
            Err(_) => wrong.field(
                "/allowed_sources",
                "bad_network",
                format!("\"{text}\" is no network; write it like 203.0.113.0/24."),
            ),
        }
    }
    found.dedup();
    if found.len() > SOURCES_MAX {
        wrong.field("/allowed_sources", "too_many", format!("At most {SOURCES_MAX} networks."));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_kept_as_the_database_writes_them() {
        let mut wrong = Wrong::default();
        let texts = ["203.0.113.7/24", " 10.0.0.1 ", "", "2001:db8::1/32"].map(str::to_owned);
        assert_eq!(networks(&mut wrong, &texts), ["203.0.113.0/24", "10.0.0.1/32", "2001:db8::/32"]);
        assert!(wrong.is_empty());
        networks(&mut wrong, &["300.0.0.1".to_owned()]);
        assert!(!wrong.is_empty());
    }
}
