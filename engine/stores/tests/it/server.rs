//! The one Postgres server of this test run, made by our own code; each test takes a database of its own.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use trunkline_stores::keyring::Keyring;
use trunkline_stores::postgres::{Config, Database, EmbeddedOptions, EmbeddedPostgres, PostgresOptions, migrate};

struct Shared {
    server: EmbeddedPostgres,
    _sweeper: Sweeper,
}

/// The running server. It forces nothing to disk; tests of durability start their own.
fn shared() -> &'static EmbeddedPostgres {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let start = || {
        let (tell, told) = std::sync::mpsc::channel();
        // A thread and runtime of its own, since each test's runtime ends with the test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let data = directory();
                let server = EmbeddedPostgres::start(&quick(&data)).await.unwrap();
                let sweeper = Sweeper::watch(&data, server.process_id().unwrap());
                tell.send(Shared { server, _sweeper: sweeper }).unwrap();
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    };
    &SHARED.get_or_init(start).server
}

/// An empty directory that outlives the test's values; whoever makes it also gives it to a [`Sweeper`] or removes it.
pub fn directory() -> PathBuf {
    tempfile::Builder::new().prefix("trunkline-test-").tempdir().unwrap().keep()
}

/// A server in `data` that forces nothing to disk.
pub fn quick(data: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        durable: false,
        ..EmbeddedOptions::new(data)
    }
}

/// A database nobody else uses, empty.
pub async fn empty_database() -> PostgresOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    shared().ensure_database(&name).await.unwrap();
    PostgresOptions {
        pool_size: 6,
        ..shared().options_for(&name)
    }
}

/// A database nobody else uses, with the schema.
pub async fn database() -> PostgresOptions {
    let options = empty_database().await;
    migrate(&options).await.unwrap();
    options
}

/// A configuration store in a database nobody else uses.
pub async fn config() -> Config {
    config_of(&database().await).await
}

/// A configuration store in this database, with a master key of its own.
pub async fn config_of(options: &PostgresOptions) -> Config {
    Config::new(Database::connect(options).await.unwrap(), Arc::new(Keyring::fleeting()))
}

/// Ends a server and removes its directory when this process ends, however it ends: its end closes the pipe.
pub struct Sweeper {
    _pipe: ChildStdin,
}

impl Sweeper {
    pub fn watch(directory: &Path, pid: u32) -> Self {
        let script = "read -r directory; read -r pid; read -r never; kill -INT \"$pid\" 2>/dev/null
                      n=0; while kill -0 \"$pid\" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
                      rm -rf -- \"$directory\"";
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut pipe = shell.spawn().unwrap().stdin.take().unwrap();
        writeln!(pipe, "{}\n{pid}", directory.display()).unwrap();
        Self { _pipe: pipe }
    }
}
