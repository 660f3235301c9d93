//! Opens the configuration with the master keys that its secrets need, or refuses and says what to do.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use trunkline_stores::keyring::{Keyring, make_file, new_key};
use trunkline_stores::postgres::config::secrets::{SecretsUnder, secrets_by_key};
use trunkline_stores::postgres::{Config, Database};

use super::stores::Postgres;
use crate::settings::Settings;

/// Name of the file in the data directory that is made when the settings name none.
const KEY_FILE: &str = "secrets.key";

/// Connects to Postgres, whose schema is up to date, and encrypts what an earlier version left in plain text.
pub async fn open_config(settings: &Settings, postgres: &Postgres) -> anyhow::Result<Config> {
    let database = Database::connect(&postgres.options).await.context("connect to Postgres")?;
    let keyring = open_keyring(settings, postgres, &database).await?;
    let config = Config::new(database, Arc::new(keyring));
    let sealed = config.seal_plain_secrets().await.context("encrypt stored secrets")?;
    if sealed.rows > 0 {
        tracing::info!(
            rows = sealed.rows,
            secrets = sealed.secrets,
            "secrets that lay in plain text are encrypted now"
        );
    }
    Ok(config)
}

/// The master keys, if they fit what is stored. A file is made only where nothing is encrypted yet.
async fn open_keyring(settings: &Settings, postgres: &Postgres, database: &Database) -> anyhow::Result<Keyring> {
    let stored = secrets_by_key(database).await?;
    let file = key_file(settings, postgres)?;
    if settings.secrets.key_file.as_os_str().is_empty() && !file.exists() {
        if stored.iter().any(|under| under.key.is_some()) {
            bail!(
                "the secrets in Postgres are encrypted and their master keys are gone: {} is not there; put it back from your copy, or name \
                 another file in secrets.key_file",
                file.display()
            );
        }
        make_file(&file, &new_key())?;
        tracing::info!(file = %file.display(), "made a master key for secrets; keep a copy of this file");
    }
    let keyring = Keyring::read(&file)?;
    let missing = unfit(&keyring, &stored);
    if !missing.is_empty() {
        bail!(
            "{missing} in Postgres, and {} does not hold it; add its line below the first one, or put the file back from your copy",
            file.display()
        );
    }
    Ok(keyring)
}

/// Where the master keys lie.
pub fn key_file(settings: &Settings, postgres: &Postgres) -> anyhow::Result<PathBuf> {
    let set = &settings.secrets.key_file;
    if !set.as_os_str().is_empty() {
        return Ok(set.clone());
    }
    if !postgres.is_embedded() {
        bail!(
            "secrets.key_file is not set; with postgres.url every process needs the same master key: make a file with `trunkline secrets \
             new-key > FILE && chmod 600 FILE` and name it in secrets.key_file"
        );
    }
    Ok(settings.data.directory.join(KEY_FILE))
}

/// What needs a key that is not held, in words; empty when all fits.
fn unfit(keyring: &Keyring, stored: &[SecretsUnder]) -> String {
    let missing: Vec<String> = stored
        .iter()
        .filter_map(|under| under.key.filter(|key| !keyring.holds(*key)).map(|key| (key, under.secrets)))
        .map(|(key, secrets)| format!("master key {key} has encrypted {secrets} secrets"))
        .collect();
    missing.join(" and ")
}

/// What the keys are and what lies under them, in words.
pub async fn describe(settings: &Settings, postgres: &Postgres, database: &Database) -> anyhow::Result<String> {
    let stored = secrets_by_key(database).await?;
    let file = key_file(settings, postgres)?;
    if !file.exists() && stored.iter().all(|under| under.key.is_none()) && settings.secrets.key_file.as_os_str().is_empty() {
        return Ok(format!("{} is made at the first start", file.display()));
    }
    let keyring = Keyring::read(&file)?;
    let missing = unfit(&keyring, &stored);
    if !missing.is_empty() {
        bail!("{missing}, and {} does not hold it", file.display());
    }
    let under = |newest: bool| {
        let chosen = stored.iter().filter(|under| (under.key == Some(keyring.newest())) == newest);
        chosen.map(|under| under.secrets).sum::<u64>()
    };
    Ok(match under(false) {
        0 => format!("{} under master key {}", under(true), keyring.newest()),
        older => format!(
            "{} under master key {}, {older} under older keys or in plain text (trunkline secrets rotate)",
            under(true),
            keyring.newest()
        ),
    })
}
