//! Settings of what is kept outside the process: the log, Postgres, ClickHouse.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

/// Which adapter keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogStore {
    /// Tables in Postgres.
    Postgres,
    /// Apache Kafka.
    Kafka,
}

impl TryFrom<String> for LogStore {
    type Error = String;

    fn try_from(word: String) -> Result<LogStore, String> {
        match word.as_str() {
            "postgres" => Ok(LogStore::Postgres),
            "kafka" => Ok(LogStore::Kafka),
            _ => Err(format!("log.store = \"{word}\" is neither \"postgres\" nor \"kafka\"")),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Which adapter.
    pub store: LogStore,
    /// Partitions, fixed at creation.
    pub partitions: u32,
    /// Days that events are kept.
    pub retention_days: u32,
}

/// `[kafka]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Bootstrap servers.
    pub brokers: String,
    /// Raw topic.
    pub topic: String,
    /// Replication factor.
    pub replication: u16,
    /// Name of this process in its groups; empty: none.
    pub member: String,
    /// Whether a copy of this process's checkpoints is kept on its disk.
    pub mirror: bool,
    /// Transport.
    pub security_protocol: String,
    /// SASL mechanism.
    pub sasl_mechanism: String,
    /// SASL user.
    pub sasl_user: String,
    /// SASL password.
    pub sasl_password: SecretString,
    /// File that holds it.
    pub sasl_password_file: PathBuf,
    /// Certificate authorities.
    pub ca_file: PathBuf,
}

/// `[postgres]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Connection URL; empty: embedded.
    pub url: SecretString,
    /// File that holds it.
    pub url_file: PathBuf,
    /// Pool size.
    pub pool_size: usize,
    /// Directory of `initdb` and `postgres`.
    pub binaries: PathBuf,
}

/// `[clickhouse]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickHouse {
    /// HTTP URL; empty: embedded.
    pub url: String,
    /// Certificate authorities for https.
    pub ca_file: PathBuf,
    /// User.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// File that holds it.
    pub password_file: PathBuf,
    /// Database.
    pub database: String,
    /// Row policies on a server.
    pub row_policies: bool,
    /// libchdb, for use without a server.
    pub library: PathBuf,
}

impl Log {
    /// How long events are kept.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention_days) * 86_400)
    }
}
