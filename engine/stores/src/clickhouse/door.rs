//! The real ClickHouse engine inside our process, behind a loopback door that speaks ClickHouse's HTTP interface, so that one
//! client serves it and a server alike.
//!
//! The engine is a library found at run time (`deploy/clickhouse-engine` fetches it); a build does not need it. It runs once
//! per process and owns its data directory: a second process on the same directory is refused. Its data survive `kill -9`, and
//! a machine's crash too: every insert is synced before it is answered (`fsync_after_insert`).

mod blocks;
mod desk;
mod fault;
mod http;
mod library;
mod multipart;
mod statement;

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rand::Rng as _;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
use self::http::Door;
use self::library::Library;
use super::whose::filters;

/// Engine settings that must hold for every table; written beside the data at each start.
const CONFIGURATION: &str = include_str!("door/engine.xml");

/// Its one user: what our statements may do, and which rows they see.
const USERS: &str = include_str!("door/users.xml");

/// Letters and digits of the password: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// Where library and data are.
#[derive(Debug, Clone)]
pub struct DoorOptions {
    /// `libchdb.so`.
    pub library: PathBuf,
    /// Directory that the engine owns; made when missing.
    pub data: PathBuf,
    /// Databases with our tables, which show a question the rows of the tenant that it is about: letters, digits and _, not a digit first.
    pub databases: Vec<String>,
    /// How other processes enter; without it only this one knows the way, which is new at every start.
    pub entry: Option<Entry>,
}

/// A door that is the same after each start.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it listens: on loopback, its protocol is not encrypted.
    pub address: SocketAddr,
    /// What it asks for.
    pub password: SecretString,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The library is missing or not the one we know.
    #[error(
        "cannot load the ClickHouse engine from {path}: {reason}; run deploy/clickhouse-engine to fetch it, or set clickhouse.url to use a server"
    )]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The engine refused to open the directory.
    #[error("the ClickHouse engine refused to start: {0}")]
    Refused(String),
    /// It runs already in this process.
    #[error("the ClickHouse engine runs already in this process, on {0}; there can be only one")]
    AlreadyRunning(PathBuf),
    /// A file or socket failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// The running engine. [`Engine::stop`] ends it in order; merely dropping it leaves it running until the process ends.
#[derive(Debug)]
pub struct Engine {
    /// `http://127.0.0.1:port`, for the client.
    pub url: String,
    /// Who may enter.
    pub user: String,
    /// With what; made anew at every start.
    pub password: SecretString,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

static LIBRARY: OnceLock<Library> = OnceLock::new();
static RUNNING: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The library crashes while it takes itself down, at the close of its last connection as well as at the end of the process
/// (seen with 26.7.3 as soon as a table has a skipping index). Nothing needs taking down: every insert is on the disk when it is
/// answered. So the last connection stays open, and the process ends before the library's own end-of-process code.
extern "C" fn leave(status: c_int, _: *mut c_void) {
    // SAFETY: ends the process, as is being done already; Rust has flushed its streams before.
    unsafe { _exit(status) }
}

unsafe extern "C" {
    fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    fn _exit(status: c_int) -> !;
}

impl Engine {
    /// Loads the library, opens the data and the door. Blocks for part of a second.
    pub fn start(options: DoorOptions) -> Result<Engine, DoorError> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = running.as_ref() {
            return Err(DoorError::AlreadyRunning(path.clone()));
        }
        let library = match LIBRARY.get() {
            Some(library) => library,
            None => LIBRARY.get_or_init({
                let library = Library::load(&options.library)?;
                || library
            }),
        };
        let arguments = prepare(&options.data, &options.databases)?;
        let anchor = library.connect(&arguments)?;
        let user = "trunkline".to_owned();
        let Entry { address, password } = options.entry.unwrap_or_else(Entry::new);
        let (runtime, listener) = open(address)?;
        let address = listener.local_addr().map_err(io("read the analytics door's address"))?;
        let door = Arc::new(Door::new(Desk::new(library, arguments), &user, password.expose_secret()));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("clickhouse-door".into())
            .spawn(move || {
                // The engine runs as long as one connection is open; it is meant to start once and is never closed.
                let _anchor = ManuallyDrop::new(anchor);
                runtime.block_on(door.serve(listener, stopped));
            })
            .map_err(io("start the analytics door's thread"))?;
        // SAFETY: a plain function without data. Handlers run in the reverse order of their registration: ours, registered after
        // the library was loaded, before the library's.
        unsafe { on_exit(leave, std::ptr::null_mut()) };
        *running = Some(options.data);
        Ok(Engine {
            url: format!("http://{address}"),
            user,
            password,
            stop,
            thread,
        })
    }

    /// Lets running statements end and closes the door; the engine itself stays until the process ends.
    pub async fn stop(self) {
        self.stop.cancel();
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the analytics door's thread panicked");
        }
    }
}

/// Makes the directory and writes the engine's configuration; the arguments to connect with.
fn prepare(data: &Path, databases: &[String]) -> Result<Vec<String>, DoorError> {
    let named = |name: &String| {
        let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        plain && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
    };
    if let Some(name) = databases.iter().find(|name| !named(name)) {
        return Err(DoorError::Refused(format!(
            "\"{name}\" cannot be its database; a name has letters, digits and _, and does not begin with a digit"
        )));
    }
    std::fs::create_dir_all(data).map_err(io(&format!("make the directory {}", data.display())))?;
    let data = data
        .canonicalize()
        .map_err(io(&format!("resolve the directory {}", data.display())))?;
    let configuration = data.join("trunkline-engine.xml");
    std::fs::write(&configuration, CONFIGURATION).map_err(io(&format!("write {}", configuration.display())))?;
    let users = data.join("trunkline-users.xml");
    std::fs::write(&users, USERS.replace("{databases}", &filters(databases))).map_err(io(&format!("write {}", users.display())))?;
    Ok(vec![
        format!("--path={}", data.display()),
        format!("--config-file={}", configuration.display()),
        format!("--users_config={}", users.display()),
    ])
}

/// A runtime of the door's own, so that it outlives whichever runtime started it.
fn open(address: SocketAddr) -> Result<(tokio::runtime::Runtime, TcpListener), DoorError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("clickhouse-door")
        .enable_all()
        .build()
        .map_err(io("start the analytics door's runtime"))?;
    let opened = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        // Callers may be inside a runtime of their own, where blocking on ours would panic.
        let _inside = runtime.enter();
        TcpListener::from_std(listener)
    });
    let listener = opened.map_err(io("open the analytics door on loopback"))?;
    Ok((runtime, listener))
}

impl Entry {
    /// A free port and a password that were never used before.
    fn new() -> Entry {
        let password: String = rand::rng()
            .sample_iter(Alphanumeric)
            .take(PASSWORD_LENGTH)
            .map(char::from)
            .collect();
        Entry {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            password: password.into(),
        }
    }
}

fn io(doing: &str) -> impl FnOnce(std::io::Error) -> DoorError {
    let doing = format!("cannot {doing}");
    move |source| DoorError::Io { doing, source }
}
