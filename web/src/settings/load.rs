//! Reads settings: defaults, then the file, then the environment, then `--set`.

use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Map};
use secrecy::{ExposeSecret, SecretString};

use super::{DEFAULTS, Settings, check};

const PREFIX: &str = "TRUNKLINE";

/// Where settings come from beside the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// File of `--config`.
    pub file: Option<PathBuf>,
    /// `section.key=value` of `--set`, in order.
    pub overrides: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
}

/// Why settings were refused; each text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// A source cannot be read or holds an unknown key or a wrong type.
    #[error("read settings: {0}")]
    Unreadable(String),
    /// `--set` is not `section.key=value`.
    #[error("--set {0}: write it as section.key=value, for instance --set server.bind=127.0.0.1:8080")]
    Override(String),
    /// The file of a secret cannot be read.
    #[error("read {setting} from {path}: {reason}; make it readable for the user that runs Trunkline")]
    SecretFile {
        /// Which setting.
        setting: &'static str,
        /// Which file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A secret is given twice.
    #[error("{0} and {0}_file are both set; keep one of them")]
    SecretTwice(&'static str),
    /// Values that make no sense, alone or together.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
}

/// Reads, resolves `*_file`, and checks.
pub fn load(sources: &Sources) -> Result<Settings, BadSettings> {
    let unreadable = |error: config::ConfigError| BadSettings::Unreadable(error.to_string());
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(path) = &sources.file {
        // Read by us, so that a missing file is a sentence and the extension does not matter.
        let text = std::fs::read_to_string(path).map_err(|error| BadSettings::Unreadable(format!("{}: {error}", path.display())))?;
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
    }
    // Only names with a section: others (TRUNKLINE_CONFIG) are no settings.
    let variables: Map<String, String> = sources
        .environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && name.contains("__"))
        .cloned()
        .collect();
    // Values stay text until the wanted type is known: a password of digits must not become a number.
    builder = builder.add_source(
        Environment::with_prefix(PREFIX)
            .prefix_separator("_")
            .separator("__")
            .source(Some(variables)),
    );
    for text in &sources.overrides {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| key.contains('.'))
            .ok_or_else(|| BadSettings::Override(text.clone()))?;
        builder = builder.set_override(key, value).map_err(unreadable)?;
    }
    let mut settings: Settings = builder.build().and_then(Config::try_deserialize).map_err(unreadable)?;
    secret_file("postgres.url", &mut settings.postgres.url, &settings.postgres.url_file)?;
    secret_file(
        "clickhouse.password",
        &mut settings.clickhouse.password,
        &settings.clickhouse.password_file,
    )?;
    secret_file(
        "kafka.sasl_password",
        &mut settings.kafka.sasl_password,
        &settings.kafka.sasl_password_file,
    )?;
    secret_file("mail.url", &mut settings.mail.url, &settings.mail.url_file)?;
    let refusals = check::refusals(&settings);
    if refusals.is_empty() {
        Ok(settings)
    } else {
        Err(BadSettings::Refused(refusals))
    }
}

fn secret_file(setting: &'static str, value: &mut SecretString, path: &Path) -> Result<(), BadSettings> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    if !value.expose_secret().is_empty() {
        return Err(BadSettings::SecretTwice(setting));
    }
    let text = std::fs::read_to_string(path).map_err(|error| BadSettings::SecretFile {
        setting,
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    *value = SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_settings_are_read_or_refused_in_words() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("trunkline.toml");
        let lines = "[server]\nbind = \"127.0.0.1:1\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n[telemetry]\nlevel = \"info\"\n[mail]\nurl = \"smtp://a:b@c:25\"\n";
        let seeds = [lines.as_bytes().to_vec(), DEFAULTS.as_bytes().to_vec()];
        crate::damage::damage("settings", &seeds, |text| {
            std::fs::write(&file, text).unwrap();
            let sources = Sources {
                file: Some(file.clone()),
                overrides: vec![String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned()],
                environment: Vec::new(),
            };
            for overrides in [Vec::new(), sources.overrides.clone()] {
                let tried = load(&Sources {
                    overrides,
                    ..sources.clone()
                });
                assert!(tried.is_ok() || !tried.unwrap_err().to_string().is_empty());
            }
        });
    }
}
