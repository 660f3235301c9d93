//! A Postgres server of our own: the distribution's binaries, our data directory, a private socket, nobody else let in.
//!
//! The server listens on no network. Its socket lies in a directory that only its own account may enter, and it takes a
//! connection only from the operating-system account that runs Trunkline (peer authentication, checked by the kernel): there is
//! no password on disk. When Trunkline runs as root, the server runs as `postgres` (or `nobody`).

mod account;
mod binaries;
mod cluster;
mod process;
mod setup;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{PostgresError, PostgresOptions};
use account::Account;
use cluster::Cluster;

/// The database the product works in.
pub const DATABASE: &str = "trunkline";

/// Connections the product keeps when the server is our own.
const POOL_SIZE: usize = 16;

/// How long another process's server, just starting, is waited for.
const ATTACH_WAIT: Duration = Duration::from_secs(30);

/// What an embedded server needs to know.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Data directory of the product; the server lives in `postgres` below it.
    pub data: PathBuf,
    /// Directory of the server's binaries; found by itself when not set.
    pub bin: Option<PathBuf>,
    /// False only in tests that do not test durability: nothing is forced to disk.
    pub durable: bool,
}

impl EmbeddedOptions {
    /// A durable server in `data`, with the binaries of the system.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            bin: None,
            durable: true,
        }
    }
}

/// Who works with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseRole {
    /// The product.
    Application,
    /// Who migrates.
    Owner,
    /// Who made the cluster, bound by no policy.
    Root,
}

/// Why there is no embedded server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another Trunkline process runs a server in this directory.
    #[error("another Trunkline process runs its Postgres in {0}; stop it, or use another data directory")]
    AlreadyRunning(PathBuf),
    /// A person must change something; the text says what.
    #[error("{0}")]
    Setup(String),
    /// The server did not come up.
    #[error("embedded Postgres did not start: {0}")]
    NotStarted(String),
    /// It runs, but what we asked of it failed.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// A running server. Call [`EmbeddedPostgres::close`]; dropping it asks the server to stop but does not wait.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: Arc<Cluster>,
    keeper: Option<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    stop: CancellationToken,
    task: JoinHandle<()>,
    pid: Arc<AtomicU32>,
    /// Held as long as we run; the kernel lets go of it however we end.
    _lock: File,
}

impl EmbeddedPostgres {
    /// Starts the server, making its data directory on first use, and waits until it answers. A server left over from a killed
    /// process of ours is stopped first. If the server dies it is started again.
    pub async fn start(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let account = Account::choose().await?;
        let cluster = Arc::new(Cluster::locate(options, account).await?);
        let lock = lock(&cluster.home)?;
        process::stop_leftover(&cluster).await?;
        cluster.prepare().await?;
        let child = process::start(&cluster).await?;
        let pid = Arc::new(AtomicU32::new(child.id().unwrap_or_default()));
        let stop = CancellationToken::new();
        let task = tokio::spawn(process::keep(cluster.clone(), child, pid.clone(), stop.clone()));
        let server = Self {
            cluster,
            keeper: Some(Keeper {
                stop,
                task,
                pid,
                _lock: lock,
            }),
        };
        setup::roles(&server.cluster).await?;
        setup::database(&server.cluster, DATABASE).await?;
        Ok(server)
    }

    /// Uses the server that another process of ours runs in this directory (commands beside a running product), or starts one.
    pub async fn start_or_attach(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        match Self::start(options).await {
            Err(EmbeddedError::AlreadyRunning(_)) => {}
            started => return started,
        }
        let cluster = Arc::new(Cluster::locate(options, Account::choose().await?).await?);
        process::wait_until_ready(&cluster, ATTACH_WAIT).await?;
        Ok(Self { cluster, keeper: None })
    }

    /// How to reach the product's database.
    pub fn options(&self) -> PostgresOptions {
        self.options_for(DATABASE)
    }

    /// How to reach another database of this server.
    pub fn options_for(&self, database: &str) -> PostgresOptions {
        PostgresOptions {
            url: SecretString::from(self.cluster.address(cluster::APP_ROLE, database)),
            owner_url: Some(SecretString::from(self.cluster.address(cluster::OWNER_ROLE, database))),
            ca_file: None,
            pool_size: POOL_SIZE,
        }
    }

    /// The address of its database for a role, as settings take it: a directory with its socket stands where a host would. `through`: a
    /// directory of somebody who passes on what comes there.
    pub fn url(&self, role: DatabaseRole, through: Option<&Path>) -> String {
        let role = match role {
            DatabaseRole::Application => cluster::APP_ROLE,
            DatabaseRole::Owner => cluster::OWNER_ROLE,
            DatabaseRole::Root => cluster::ROOT_ROLE,
        };
        let directory = through.unwrap_or(&self.cluster.socket).display().to_string();
        let escaped = directory.bytes().map(|byte| match byte {
            b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        });
        format!("postgres://{role}@{}:{}/{DATABASE}", escaped.collect::<String>(), cluster::PORT)
    }

    /// The socket that it listens at, and nowhere else.
    pub fn socket(&self) -> PathBuf {
        self.cluster.socket.join(cluster::SOCKET_NAME)
    }

    /// Makes another database on this server, if it is not there.
    pub async fn ensure_database(&self, name: &str) -> Result<(), EmbeddedError> {
        setup::database(&self.cluster, name).await
    }

    /// The server's process, when it is ours.
    pub fn process_id(&self) -> Option<u32> {
        self.keeper
            .as_ref()
            .map(|keeper| keeper.pid.load(Ordering::Acquire))
            .filter(|pid| *pid != 0)
    }

    /// Directory of the server's files.
    pub fn home(&self) -> &Path {
        &self.cluster.home
    }

    /// Stops the server (open transactions are rolled back, everything committed is on disk) and waits until it is gone.
    pub async fn close(mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.stop.cancel();
            if let Err(error) = keeper.task.await {
                tracing::error!(%error, "the task that keeps Postgres running ended badly");
            }
            self.cluster.remove_far_socket_directory();
        }
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.stop.cancel();
            process::interrupt(keeper.pid.load(Ordering::Acquire));
        }
    }
}

fn lock(home: &Path) -> Result<File, EmbeddedError> {
    let path = home.join("lock");
    let shown = path.display();
    let file = File::create(&path).map_err(|error| EmbeddedError::Setup(format!("cannot create {shown}: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::AlreadyRunning(home.to_owned())),
        Err(TryLockError::Error(error)) => Err(EmbeddedError::Setup(format!("cannot lock {shown}: {error}"))),
    }
}
