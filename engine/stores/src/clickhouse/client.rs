//! The one ClickHouse client: the same for the embedded engine and for a server or cluster by URL.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, Compression};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::whose::{PLATFORM, WHOSE};
use crate::tls;

/// Longest wait for the answer to a question, a little above what the engine itself allows.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// What the engine may spend on one question of a screen or the API; a heavier one is a report and not asked here.
const READ_SECONDS: &str = "15";
/// Memory of one question: well below what a small machine has.
const READ_MEMORY_BYTES: &str = "2000000000";
/// Largest answer in rows; every named question returns far less.
const READ_RESULT_ROWS: &str = "1000000";

/// A peer that vanished is noticed within about this time.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Idle connections are given back before the server, which by default waits 3 s, ends them under us.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// Where ClickHouse is and how the schema is laid out there.
#[derive(Debug, Clone)]
pub struct AnalyticsOptions {
    /// HTTP address, such as `http://127.0.0.1:8123` or `https://clickhouse.example:8443`.
    pub url: String,
    /// Certificate authorities (PEM) to trust instead of the system's, for https.
    pub ca_file: Option<PathBuf>,
    /// User name.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// Database that holds our tables; made when missing.
    pub database: String,
    /// Name of the cluster for `ON CLUSTER`; none on a single node.
    pub cluster: Option<String>,
    /// Tables replicate between the nodes of a shard.
    pub replicated: bool,
    /// Days raw events are kept; none keeps them for ever.
    pub events_keep_days: Option<u32>,
    /// Days calls and transcripts are kept; none keeps them for ever.
    pub calls_keep_days: Option<u32>,
    /// Compress between us and ClickHouse; pointless on loopback.
    pub compress: bool,
    /// Row policies are made together with the schema. The engine in our process has them from its start.
    pub row_policies: bool,
}

impl AnalyticsOptions {
    /// A single node without retention limits.
    pub fn new(url: impl Into<String>, user: impl Into<String>, password: SecretString, database: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            user: user.into(),
            password,
            database: database.into(),
            cluster: None,
            replicated: false,
            events_keep_days: None,
            calls_keep_days: None,
            compress: false,
            row_policies: false,
        }
    }
}

/// Why ClickHouse did not do what was asked. The text names the attempt and ClickHouse's error code, never values.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// Not reachable, or no answer in time: try again.
    #[error("{attempt}: ClickHouse cannot be reached or does not answer in time")]
    Unavailable {
        /// What was attempted.
        attempt: &'static str,
        /// What the client says.
        #[source]
        source: Option<Box<clickhouse::error::Error>>,
    },
    /// ClickHouse answered with an error.
    #[error("{attempt}: ClickHouse refused with code {code}")]
    Refused {
        /// What was attempted.
        attempt: &'static str,
        /// ClickHouse's error code; 0 when it told none.
        code: u32,
        /// Its words; may quote data, so not for logs.
        detail: String,
    },
    /// Our rows and its table differ.
    #[error("{attempt}: rows and table differ; has the schema been migrated?")]
    Mismatch {
        /// What was attempted.
        attempt: &'static str,
        /// What differs.
        #[source]
        source: Box<clickhouse::error::Error>,
    },
    /// What is stored cannot be read by this version.
    #[error("{attempt}: stored form cannot be read: {reason}")]
    Unreadable {
        /// What was attempted.
        attempt: &'static str,
        /// Why.
        reason: String,
    },
    /// The address cannot be used as it is set.
    #[error("ClickHouse cannot be used as it is set: {0}")]
    Misconfigured(String),
    /// A migration that was applied has another text now.
    #[error("schema step {step} was changed after it had been applied; restore its file and add a new step instead")]
    Rewritten {
        /// Name of the step.
        step: &'static str,
    },
}

impl AnalyticsError {
    pub(super) fn of(attempt: &'static str, error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(detail) => Self::Refused {
                attempt,
                code: code_of(&detail),
                detail,
            },
            Error::SchemaMismatch(_) | Error::NotEnoughData | Error::InvalidColumnsHeader(_) => Self::Mismatch {
                attempt,
                source: Box::new(error),
            },
            other => Self::Unavailable {
                attempt,
                source: Some(Box::new(other)),
            },
        }
    }

    /// True when the same attempt may succeed later without anybody changing anything.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }
}

fn code_of(detail: &str) -> u32 {
    let Some(at) = detail.find("Code: ") else { return 0 };
    let digits = detail[at + 6..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// Handle to the analytics store. Cheap to clone.
#[derive(Clone)]
pub struct Analytics {
    pub(super) client: Client,
    pub(super) options: Arc<AnalyticsOptions>,
}

impl std::fmt::Debug for Analytics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analytics")
            .field("url", &self.options.url)
            .field("database", &self.options.database)
            .finish()
    }
}

impl Analytics {
    /// Prepares a client; nothing is sent yet.
    pub fn connect(options: AnalyticsOptions) -> Result<Self, AnalyticsError> {
        let client = if options.url.starts_with("https://") {
            over_tls(&options)?
        } else {
            Client::default()
        };
        let client = client
            .with_url(options.url.clone())
            .with_user(options.user.clone())
            .with_password(options.password.expose_secret().to_string())
            .with_database(options.database.clone())
            .with_compression(if options.compress { Compression::Lz4 } else { Compression::None });
        Ok(Self {
            client,
            options: Arc::new(options),
        })
    }

    /// Asks ClickHouse for its version; an error tells that it is not there.
    pub async fn version(&self) -> Result<String, AnalyticsError> {
        let attempt = "ask ClickHouse for its version";
        let client = self.client.clone().with_database("default");
        within(
            READ_LIMIT,
            attempt,
            client.query(include_str!("../../../../clickhouse/queries/version.sql")).fetch_one(),
        )
        .await
    }

    /// A named question of one tenant: the tenant is bound before anything else, for the question's own condition and for the policies.
    pub(super) fn ask(&self, sql: &str, tenant: Uuid) -> Query {
        let tenant = tenant.to_string();
        self.limited(sql).with_setting(WHOSE, tenant.clone()).param("tenant", tenant)
    }

    /// A question of the platform itself (writer, auditor), across tenants.
    pub(super) fn ask_across(&self, sql: &str) -> Query {
        self.limited(sql).with_setting(WHOSE, PLATFORM)
    }

    /// A question within the engine's limits that does not say yet whose rows it is about.
    fn limited(&self, sql: &str) -> Query {
        // A question mark is a placeholder to the client; doubled it stands for itself.
        self.client
            .query(&sql.replace('?', "??"))
            .with_setting("max_execution_time", READ_SECONDS)
            .with_setting("max_memory_usage", READ_MEMORY_BYTES)
            .with_setting("max_result_rows", READ_RESULT_ROWS)
            .with_setting("do_not_merge_across_partitions_select_final", "1")
    }
}

/// The client with our TLS: one provider, and the server's certificate is checked, always.
fn over_tls(options: &AnalyticsOptions) -> Result<Client, AnalyticsError> {
    let config = tls::client(options.ca_file.as_deref()).map_err(AnalyticsError::Misconfigured)?;
    let mut connector = HttpConnector::new();
    connector.set_keepalive(Some(KEEPALIVE));
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(connector);
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_MAX)
        .build(connector);
    Ok(Client::with_http_client(http))
}

/// Waits for `work`, but not for ever.
pub(super) async fn within<T>(
    limit: Duration,
    attempt: &'static str,
    work: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, AnalyticsError> {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => answer.map_err(|error| AnalyticsError::of(attempt, error)),
        Err(_) => Err(AnalyticsError::Unavailable { attempt, source: None }),
    }
}

/// [`within`] with the usual limit of questions.
pub(super) async fn answer<T>(
    attempt: &'static str,
    work: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, AnalyticsError> {
    within(READ_LIMIT, attempt, work).await
}
