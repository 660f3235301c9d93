//! Finds the server's binaries: where they were said to be, in the distribution's places, or on the search path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::EmbeddedError;
use crate::postgres::database::OLDEST_SERVER;

/// A directory with `postgres` and `initdb` of one version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub directory: PathBuf,
    pub major: i32,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The newest there are; or, when a data directory of version `wanted` exists, those of exactly that version, since another
    /// major version cannot read it.
    pub async fn find(set: Option<&Path>, wanted: Option<i32>) -> Result<Self, EmbeddedError> {
        let places = set.map_or_else(places, |directory| vec![directory.to_owned()]);
        let mut found = BTreeMap::new();
        for directory in places {
            if let Some(major) = version_of(&directory).await {
                found.entry(major).or_insert(directory);
            }
        }
        let listed = found.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if let Some(major) = wanted {
            return found.remove(&major).map(|directory| Self { directory, major }).ok_or_else(|| {
                let have = if listed.is_empty() {
                    "none is".to_owned()
                } else {
                    format!("only {listed} is")
                };
                EmbeddedError::Setup(format!(
                    "the data directory was made by Postgres {major}, but {have} installed; install the package postgresql-{major}, \
                     or carry the data over with pg_upgrade"
                ))
            });
        }
        match found.pop_last() {
            Some((major, directory)) if major >= OLDEST_SERVER => Ok(Self { directory, major }),
            Some((major, _)) => Err(EmbeddedError::Setup(format!(
                "the newest Postgres found is {major}; {OLDEST_SERVER} or newer is needed"
            ))),
            None => Err(EmbeddedError::Setup(
                "no Postgres found; install the package postgresql, or set the directory of its binaries, or a Postgres address".into(),
            )),
        }
    }
}

fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    // Debian and Ubuntu, then Red Hat, keep each version in its own directory and only wrappers on the path.
    for (root, tail) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin")] {
        let Ok(entries) = std::fs::read_dir(root) else { continue };
        let versions = entries
            .flatten()
            .filter(|entry| root != "/usr" || entry.file_name().to_str().is_some_and(|name| name.starts_with("pgsql-")));
        places.extend(versions.map(|entry| entry.path().join(tail)));
    }
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    places.retain(|directory| directory.join("postgres").is_file() && directory.join("initdb").is_file());
    places
}

/// Major version of the server in a directory, from `postgres (PostgreSQL) 15.18 (Debian ...)`.
async fn version_of(directory: &Path) -> Option<i32> {
    let output = Command::new(directory.join("postgres")).arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
