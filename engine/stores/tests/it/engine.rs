//! The one embedded ClickHouse engine of this test run; each test takes a database of its own.

use std::path::PathBuf;
use std::sync::OnceLock;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use trunkline_stores::clickhouse::door::{DoorOptions, Engine};

/// The one database whose tables are behind row policies, which the engine has to know before it starts.
pub const LOCKED: &str = "locked";

/// Where the engine's library is; says what to run when it is missing.
pub fn library() -> PathBuf {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.engine/libchdb.so"));
    let path = std::env::var_os("TRUNKLINE_CHDB_LIBRARY").map_or_else(default, PathBuf::from);
    assert!(
        path.is_file(),
        "no ClickHouse engine at {}: run deploy/clickhouse-engine, or set TRUNKLINE_CHDB_LIBRARY",
        path.display()
    );
    path
}

/// The running engine: one per process, because the library allows one.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<(TempDir, Engine)> = OnceLock::new();
    let (_, engine) = ENGINE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::start(DoorOptions {
            library: library(),
            data: directory.path().to_owned(),
            databases: vec![LOCKED.to_owned()],
            entry: None,
        })
        .unwrap();
        (directory, engine)
    });
    engine
}

/// A client of the engine without a database.
pub fn client() -> clickhouse::Client {
    client_of(engine())
}

/// A client of `engine`, as the product makes it.
pub fn client_of(engine: &Engine) -> clickhouse::Client {
    clickhouse::Client::default()
        .with_url(&engine.url)
        .with_user(&engine.user)
        .with_password(engine.password.expose_secret())
}

/// A client with a fresh database called `name`.
pub async fn database(name: &str) -> clickhouse::Client {
    client().query(&format!("CREATE DATABASE {name}")).execute().await.unwrap();
    client().with_database(name)
}
