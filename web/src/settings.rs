//! Every setting by name and type: where from is [`load`], what is refused is [`check`].

pub mod check;
pub mod load;
pub mod print;
mod single_sign_on;
mod stores;
mod tls;
mod tokens;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

pub use single_sign_on::SingleSignOn;
pub use stores::{ClickHouse, Kafka, Log, LogStore, Postgres};
pub use tls::Tls;
pub use tokens::{Environment, Tokens};

/// The defaults, compiled in; also the documentation of every setting.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// All settings, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Pages and API.
    pub server: Server,
    /// Webhook intake.
    pub intake: Intake,
    /// Health and metrics.
    pub admin: Admin,
    /// Files of embedded stores.
    pub data: Data,
    /// Master keys.
    pub secrets: Secrets,
    /// Where events wait while the log is away.
    pub spool: Spool,
    /// Event log.
    pub log: Log,
    /// Kafka, when it keeps the log.
    pub kafka: Kafka,
    /// Configuration store.
    pub postgres: Postgres,
    /// Analytics store.
    pub clickhouse: ClickHouse,
    /// The live group.
    pub live: Live,
    /// The comparison of log, facts and ledger.
    pub auditor: Auditor,
    /// Retell's API.
    pub retell: Retell,
    /// Outbound webhooks.
    pub webhooks: Webhooks,
    /// Mail.
    pub mail: Mail,
    /// Browser sessions.
    pub session: Session,
    /// Access and refresh tokens of the API.
    pub tokens: Tokens,
    /// Providers of organisations.
    pub single_sign_on: SingleSignOn,
    /// How often callers may ask.
    pub limits: Limits,
    /// Password checks.
    pub sign_in: SignIn,
    /// Those who run the platform.
    pub platform: Platform,
    /// Logs.
    pub telemetry: Telemetry,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Listen address.
    pub bind: SocketAddr,
    /// Whether this installation is for real use or for trying.
    pub environment: Environment,
    /// Address people type; empty until [`Server::origin`].
    pub public_url: String,
    /// Threads, 0 for one per core.
    pub workers: usize,
    /// Networks whose `X-Forwarded-For` counts.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Names besides `public_url`'s that requests may ask for.
    #[serde(deserialize_with = "names")]
    pub other_names: Vec<String>,
    /// Most open streams.
    pub streams_max: usize,
    /// And of one person, API key or screen.
    pub streams_each_max: usize,
    /// Readiness off before streams close.
    pub drain_seconds: u64,
    /// Deadline of the rest of a stop.
    pub shutdown_seconds: u64,
    /// TLS of our own.
    pub tls: Tls,
}

/// `[intake]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Listen address.
    pub bind: SocketAddr,
    /// Address to paste at Retell, without path.
    pub public_url: String,
    /// Threads, 0 for one per core.
    pub workers: usize,
    /// Cap of requests in flight (rule A5).
    pub requests_in_flight_max: usize,
    /// Cap of body bytes in flight (rule A5).
    pub bytes_in_flight_max: usize,
    /// Rate per workspace, 0 for none (rule A5).
    pub events_per_second: u32,
    /// TLS of our own.
    pub tls: Tls,
}

/// `[admin]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Listen address.
    pub bind: SocketAddr,
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Directory of embedded stores.
    pub directory: PathBuf,
}

/// `[secrets]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// File of master keys; empty: in `data.directory`, for the embedded Postgres.
    pub key_file: PathBuf,
}

/// `[spool]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Its directory; empty: below `data.directory`.
    pub directory: PathBuf,
    /// Bytes on disk at most; 0: no spool.
    pub bytes_max: u64,
}

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Inner addresses and plain http may be called.
    pub allow_private_networks: bool,
    /// Longest delivery.
    pub timeout_seconds: u64,
    /// Deliveries at the same time.
    pub parallel_max: usize,
}

/// `[mail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Address of the server; empty: no mails.
    pub url: SecretString,
    /// File that holds it.
    pub url_file: PathBuf,
    /// Sender.
    pub from: String,
    /// Longest delivery.
    pub timeout_seconds: u64,
}

impl Mail {
    /// Whether mails can be sent.
    pub fn is_set(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }
}

/// `[session]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Idle limit.
    pub idle_hours: u32,
    /// Absolute limit.
    pub absolute_days: u32,
    /// How long a cookie is still taken that was followed by another one.
    pub renewal_grace_seconds: u32,
}

/// `[limits]`; a rate of 0 is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests a second of one API key, on and on.
    pub key_per_second: u32,
    /// And at once.
    pub key_burst: u32,
    /// Requests a second of one signed-in person.
    pub person_per_second: u32,
    /// And at once.
    pub person_burst: u32,
    /// Requests a second from one address.
    pub address_per_second: u32,
    /// And at once.
    pub address_burst: u32,
}

/// `[sign_in]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Wrong tries per account and address in fifteen minutes.
    pub attempts_max: u32,
    /// Wrong tries per address, whatever the account, in fifteen minutes.
    pub address_attempts_max: u32,
    /// Parallel password checks.
    pub parallel_max: usize,
    /// How long an invitation holds.
    pub invitation_days: u32,
    /// How long the link for a forgotten password holds.
    pub reset_minutes: u32,
}

/// `[platform]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// How long an organisation's data stays open to somebody who runs the platform.
    pub opening_minutes: u32,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// One object a line.
    Json,
    /// For people.
    Pretty,
}

/// `[live]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// Pause between two checkpoints; 0: none are taken.
    pub checkpoint_seconds: u32,
}

impl Live {
    /// Pause between two checkpoints in ms; `None`: none are taken.
    pub fn checkpoint_ms(&self) -> Option<i64> {
        (self.checkpoint_seconds > 0).then(|| i64::from(self.checkpoint_seconds) * 1_000)
    }
}

/// `[auditor]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auditor {
    /// From one comparison to the next; 0 for none.
    pub every_seconds: u32,
    /// Old records of each partition that each comparison looks at once more.
    pub again_records: u32,
}

/// `[retell]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retell {
    /// Address of the API.
    pub api_url: String,
    /// Silence after which a call is asked for.
    pub ask_after_minutes: u32,
    /// From one comparison with Retell's list to the next; 0 for none.
    pub reconcile_every_seconds: u32,
    /// Calls that ended more recently are left alone.
    pub reconcile_grace_seconds: u32,
    /// How far the first and the slow comparisons look back.
    pub reconcile_back_hours: u32,
    /// Pace of requests to one account.
    pub requests_per_second: u32,
}

/// `[telemetry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Filter.
    pub level: String,
    /// Form.
    pub format: LogFormat,
    /// Lines a second at most; what is worse than a warning always passes.
    pub lines_per_second: u32,
}

impl Server {
    /// Scheme, host and port that browsers see, without a trailing slash.
    pub fn origin(&self) -> String {
        origin(&self.public_url, self.bind, &self.tls)
    }

    /// True when browsers reach us over https: cookies are Secure, HSTS is sent.
    pub fn secure(&self) -> bool {
        self.origin().starts_with("https://")
    }
}

impl Settings {
    /// Where events wait while the log is away.
    pub fn spool_directory(&self) -> PathBuf {
        if self.spool.directory.as_os_str().is_empty() {
            self.data.directory.join("spool")
        } else {
            self.spool.directory.clone()
        }
    }
}

impl Intake {
    /// What to paste at Retell in front of `/v1/retell/{token}`.
    pub fn origin(&self) -> String {
        origin(&self.public_url, self.bind, &self.tls)
    }
}

fn origin(public_url: &str, bind: SocketAddr, tls: &Tls) -> String {
    match public_url.trim_end_matches('/') {
        "" if tls.is_set() => format!("https://{bind}"),
        "" => format!("http://{bind}"),
        url => url.to_owned(),
    }
}

/// A list in TOML, or one text with commas (as environment variables give it).
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    let parts = match Written::deserialize(deserializer)? {
        Written::List(parts) => parts,
        Written::Text(text) => text.split(',').map(str::to_owned).collect(),
    };
    let trimmed = parts.iter().map(|part| part.trim().to_owned());
    Ok(trimmed.filter(|part| !part.is_empty()).collect())
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let parts = names(deserializer)?;
    parts
        .iter()
        .map(|part| {
            part.parse::<IpNet>()
                .or_else(|_| part.parse::<std::net::IpAddr>().map(IpNet::from))
                .map_err(|_| serde::de::Error::custom(format!("\"{part}\" is no network; write it like 10.0.0.0/8")))
        })
        .collect()
}
