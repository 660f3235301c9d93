//! Connects to Postgres as the role that row-level security binds.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::{CancellationToken, DropGuard};
use trunkline_core::instant::Millis;

use super::PostgresError;
use super::error::error_chain;
use crate::tls;

/// How long a request waits for a free connection, for a new one, or for an old one to be checked (PG-01: at most 2 s).
const POOL_WAIT: Duration = Duration::from_secs(2);

/// How long one attempt to reach the server may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// A connection whose other end vanished is noticed within about this time.
const DEAD_PEER: Duration = Duration::from_secs(20);

/// Where Postgres is and how to sign in.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Address the product works with. Its role is, or may become, `trunkline_app`.
    pub url: SecretString,
    /// Address for migrations, when its role is another one (the owner of the schema).
    pub owner_url: Option<SecretString>,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Largest number of pooled connections.
    pub pool_size: usize,
}

/// Connections to one database: a pool for questions, and single ones for those that must hold a lock or listen.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    door: Arc<Door>,
}

/// Knows how to open a connection.
pub(crate) struct Door {
    config: tokio_postgres::Config,
    tls: Tls,
}

#[derive(Clone)]
enum Tls {
    Off,
    On(MakeRustlsConnect),
}

/// What makes a connection ours; run once on each new one.
const OPEN_SESSION: &str = include_str!("sql/open_session.sql");
const CLOCK: &str = include_str!("sql/clock.sql");
const WHO_AM_I: &str = include_str!("sql/who_am_i.sql");

impl Database {
    /// Prepares the pool and checks that the server answers, is new enough, and that our role is bound by row-level security.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, PostgresError> {
        let door = Arc::new(Door::new(&options.url, options.ca_file.as_deref())?);
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match &door.tls {
            Tls::Off => Manager::from_config(door.config.clone(), NoTls, recycling),
            Tls::On(tls) => Manager::from_config(door.config.clone(), tls.clone(), recycling),
        };
        let pool = Pool::builder(manager)
            .max_size(options.pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(CONNECT_WAIT))
            .recycle_timeout(Some(POOL_WAIT))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(OPEN_SESSION).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| PostgresError::Misconfigured(format!("cannot make a connection pool: {error}")))?;
        let database = Self { pool, door };
        database.check_role().await?;
        Ok(database)
    }

    /// One pooled connection; waits at most 2 s.
    pub(crate) async fn client(&self, doing: &'static str) -> Result<Object, PostgresError> {
        self.pool.get().await.map_err(|error| PostgresError::from_pool(doing, &error))
    }

    /// A connection of one's own, for what must hold a lock or listen. Messages that nobody asked for go to `listener`.
    pub(crate) async fn own_connection(&self, listener: impl FnMut(AsyncMessage) + Send + 'static) -> Result<OwnConnection, PostgresError> {
        let own = self.door.open(listener).await?;
        let doing = "open a Postgres session";
        own.client
            .batch_execute(OPEN_SESSION)
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        Ok(own)
    }

    /// The database's own clock: ours must not be far from it.
    pub async fn clock(&self) -> Result<Millis, PostgresError> {
        let doing = "read the clock of Postgres";
        let failed = |error: tokio_postgres::Error| PostgresError::from_driver(doing, &error);
        let row = self.client(doing).await?.query_one(CLOCK, &[]).await.map_err(failed)?;
        row.try_get(0).map(Millis).map_err(failed)
    }

    /// Ends the pool: later questions fail, running ones finish.
    pub fn close(&self) {
        self.pool.close();
    }

    async fn check_role(&self) -> Result<(), PostgresError> {
        let doing = "check the Postgres role";
        let client = self.client(doing).await?;
        let row = client
            .query_one(WHO_AM_I, &[])
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        let (role, unbound, version): (String, bool, i32) = (row.get(0), row.get(1), row.get(2));
        if unbound {
            return Err(PostgresError::Misconfigured(format!(
                "Postgres role {role} passes row-level security by; use one that is neither superuser nor BYPASSRLS"
            )));
        }
        if version < OLDEST_SERVER * 10_000 {
            return Err(PostgresError::Misconfigured(format!(
                "Postgres server is version {}; {OLDEST_SERVER} or newer is needed",
                version / 10_000
            )));
        }
        Ok(())
    }
}

/// Oldest major version taken.
pub(crate) const OLDEST_SERVER: i32 = 15;

impl Door {
    pub(crate) fn new(url: &SecretString, ca_file: Option<&std::path::Path>) -> Result<Self, PostgresError> {
        let mut config = tokio_postgres::Config::from_str(url.expose_secret())
            .map_err(|error| PostgresError::Misconfigured(format!("Postgres address cannot be read: {}", error_chain(&error))))?;
        config
            .application_name("trunkline")
            .connect_timeout(CONNECT_WAIT)
            .keepalives_idle(DEAD_PEER / 2)
            .tcp_user_timeout(DEAD_PEER);
        // The driver's default falls back to plain text when the server has no TLS; passwords and calls must not go that way.
        let must_hide = is_remote(&config) || ca_file.is_some();
        let mode = match config.get_ssl_mode() {
            SslMode::Prefer if must_hide => SslMode::Require,
            SslMode::Prefer => SslMode::Disable,
            chosen => chosen,
        };
        config.ssl_mode(mode);
        let tls = match mode {
            SslMode::Disable => Tls::Off,
            _ => {
                let config = tls::client(ca_file).map_err(|why| PostgresError::Misconfigured(format!("Postgres over TLS: {why}")))?;
                Tls::On(MakeRustlsConnect::new(config))
            }
        };
        Ok(Self { config, tls })
    }

    /// Opens a connection and drives it on a task of its own.
    pub(crate) async fn open(&self, listener: impl FnMut(AsyncMessage) + Send + 'static) -> Result<OwnConnection, PostgresError> {
        let failed = |error: tokio_postgres::Error| PostgresError::from_driver("connect to Postgres", &error);
        let ended = CancellationToken::new();
        let client = match &self.tls {
            Tls::Off => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                tokio::spawn(drive(connection, listener, ended.clone().drop_guard()));
                client
            }
            Tls::On(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await.map_err(failed)?;
                tokio::spawn(drive(connection, listener, ended.clone().drop_guard()));
                client
            }
        };
        Ok(OwnConnection { client, ended })
    }
}

/// Whether what we say to this server leaves the machine.
fn is_remote(config: &tokio_postgres::Config) -> bool {
    let far_name = config.get_hosts().iter().any(|host| match host {
        Host::Tcp(name) => !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => false,
    });
    far_name || config.get_hostaddrs().iter().any(|address| !address.is_loopback())
}

/// A connection outside the pool; it ends when this is dropped.
pub(crate) struct OwnConnection {
    pub client: Client,
    /// Cancelled as soon as the connection has ended, for whatever reason.
    pub ended: CancellationToken,
}

async fn drive<T>(mut connection: tokio_postgres::Connection<Socket, T>, mut listener: impl FnMut(AsyncMessage), _ended: DropGuard)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(message) => listener(message),
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "Postgres connection ended");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_machine_in_plain_text_unless_somebody_says_so() {
        for (address, expected) in [
            ("host=/run/postgresql user=a", SslMode::Disable),
            ("postgresql://a@localhost/b", SslMode::Disable),
            ("postgresql://a@127.0.0.1/b?sslmode=require", SslMode::Require),
            ("postgresql://a@db.example/b", SslMode::Require),
            ("postgresql://a@localhost,db.example/b", SslMode::Require),
            ("host=localhost hostaddr=192.0.2.1 user=a", SslMode::Require),
            ("postgresql://a@db.example/b?sslmode=prefer", SslMode::Require),
            ("postgresql://a@db.example/b?sslmode=disable", SslMode::Disable),
        ] {
            let door = Door::new(&SecretString::from(address), None).unwrap();
            assert_eq!(door.config.get_ssl_mode(), expected, "{address}");
            assert_eq!(matches!(door.tls, Tls::On(_)), expected == SslMode::Require, "{address}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        let error = Door::new(&SecretString::from("postgresql://a:hunter2@h/b?nonsense=1"), None)
            .err()
            .unwrap();
        assert!(
            matches!(&error, PostgresError::Misconfigured(text) if !text.contains("hunter2")),
            "{error}"
        );
    }
}
