//! The embedded Postgres server: starting, stopping, and being killed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trunkline_stores::log::postgres::PostgresLog;
use trunkline_stores::log::{AppendError, EventLog as _};
use trunkline_stores::postgres::embedded::EmbeddedError;
use trunkline_stores::postgres::{Database, EmbeddedOptions, EmbeddedPostgres, migrate};

use crate::log_postgres::options;
use crate::log_suite::{PARTITIONS, number_of, numbered};
use crate::server::{Sweeper, quick};

/// A directory that is swept away, server and all, when the test ends, however it ends.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("trunkline-test-").tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn sweeper(&self, server: &EmbeddedPostgres) -> Sweeper {
        Sweeper::watch(self.path(), server.process_id().unwrap())
    }
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_server_starts_from_nothing_stops_and_starts_again() {
    let place = Place::new();
    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    let _sweeper = place.sweeper(&server);
    migrate(&server.options()).await.unwrap();
    let config = crate::server::config_of(&server.options()).await;
    let tenant = config.ensure_organisation("Acme").await.unwrap();
    let pid = server.process_id().unwrap();
    server.close().await;
    assert!(!is_alive(pid), "close waits until the server is gone");
    assert!(
        !place.path().join("postgres/cluster/postmaster.pid").exists(),
        "it shut down in order"
    );

    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    let config = crate::server::config_of(&server.options()).await;
    assert_eq!(config.ensure_organisation("Acme").await.unwrap(), tenant);
    server.close().await;
}

#[tokio::test]
async fn s040_nobody_else_gets_in() {
    let place = Place::new();
    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    let _sweeper = place.sweeper(&server);
    for closed in ["postgres", "postgres/run", "postgres/cluster"] {
        let mode = std::fs::metadata(place.path().join(closed)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{closed} is open to others");
    }
    let client = raw(&server).await;
    let listens = client.query_one("SHOW listen_addresses", &[]).await.unwrap();
    assert_eq!(listens.get::<_, String>(0), "");
    // Even the server's own account, which can reach the socket, is not let in.
    if is_root() {
        let socket = place.path().join("postgres/run");
        let refused = Command::new("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "psql", "-h"])
            .arg(&socket)
            .args(["-U", "trunkline_root", "-d", "trunkline", "-c", "SELECT 1"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("Peer authentication failed"), "{said}");
    }
    server.close().await;
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

async fn raw(server: &EmbeddedPostgres) -> tokio_postgres::Client {
    use secrecy::ExposeSecret as _;
    let options = server.options();
    let (client, connection) = tokio_postgres::connect(options.url.expose_secret(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn a_second_one_is_refused_but_may_attach() {
    let place = Place::new();
    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    let _sweeper = place.sweeper(&server);
    let second = EmbeddedPostgres::start(&quick(place.path())).await;
    assert!(matches!(second.err(), Some(EmbeddedError::AlreadyRunning(_))));
    let attached = EmbeddedPostgres::start_or_attach(&quick(place.path())).await.unwrap();
    migrate(&attached.options()).await.unwrap();
    attached.close().await;
    assert!(is_alive(server.process_id().unwrap()), "who only attached does not stop it");
    server.close().await;
}

#[tokio::test]
async fn a_server_left_by_a_killed_process_is_stopped_and_replaced() {
    const PLACE: &str = "TRUNKLINE_TEST_HOLD_A_SERVER_IN";
    if let Some(data) = std::env::var_os(PLACE) {
        // This is the process to be killed: the same test, run by the one below.
        let server = EmbeddedPostgres::start(&quick(Path::new(&data))).await.unwrap();
        std::fs::write(Path::new(&data).join("pid"), server.process_id().unwrap().to_string()).unwrap();
        return std::future::pending().await;
    }
    let place = Place::new();
    let name = "embedded::a_server_left_by_a_killed_process_is_stopped_and_replaced";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(PLACE, place.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let left: u32 = loop {
        let noted = std::fs::read_to_string(place.path().join("pid"));
        match noted.ok().and_then(|text| text.parse().ok()) {
            Some(pid) => break pid,
            None => assert!(Instant::now() < until, "the other process started no server"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let _sweeper = Sweeper::watch(place.path(), left);
    let refused = EmbeddedPostgres::start(&quick(place.path())).await;
    assert!(matches!(refused.err(), Some(EmbeddedError::AlreadyRunning(_))), "its owner lives");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(is_alive(left), "nobody was left to stop it");
    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    assert!(!is_alive(left), "never two servers in one directory");
    assert_ne!(server.process_id(), Some(left));
    server.close().await;
}

#[tokio::test]
async fn a_number_that_now_belongs_to_another_program_is_no_server() {
    let place = Place::new();
    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    let _sweeper = place.sweeper(&server);
    server.close().await;
    // As after a power cut: the notes are still there, and their number was given to somebody else. A child of ours, of the same
    // account as the server, so that Postgres by itself would believe them.
    let note = place.path().join("postgres/cluster/postmaster.pid");
    let mut other = Command::new("sleep");
    if is_root() {
        let account = std::fs::metadata(place.path().join("postgres/cluster")).unwrap();
        std::os::unix::process::CommandExt::uid(&mut other, std::os::unix::fs::MetadataExt::uid(&account));
    }
    let mut other = other.arg("60").spawn().unwrap();
    for note in [&note, &place.path().join("postgres/run/.s.PGSQL.5432.lock")] {
        std::fs::write(note, format!("{}\n", other.id())).unwrap();
    }
    let started = EmbeddedPostgres::start(&quick(place.path())).await;
    assert!(is_alive(other.id()), "a stranger was ended");
    other.kill().unwrap();
    other.wait().unwrap();
    started.unwrap().close().await;
}

#[tokio::test]
async fn a_killed_server_is_started_again() {
    let place = Place::new();
    let server = EmbeddedPostgres::start(&quick(place.path())).await.unwrap();
    let _sweeper = place.sweeper(&server);
    migrate(&server.options()).await.unwrap();
    let config = crate::server::config_of(&server.options()).await;
    let tenant = config.ensure_organisation("Acme").await.unwrap();
    let first = server.process_id().unwrap();
    kill("-KILL", first);
    let until = Instant::now() + Duration::from_secs(60);
    let found = loop {
        match config.ensure_organisation("Acme").await {
            Ok(found) if server.process_id().is_some_and(|pid| pid != first) => break found,
            _ => assert!(Instant::now() < until, "it did not come back"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(found, tenant);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_kill_9() {
    let place = Place::new();
    let durable = EmbeddedOptions::new(place.path());
    let server = EmbeddedPostgres::start(&durable).await.unwrap();
    let _sweeper = place.sweeper(&server);
    migrate(&server.options()).await.unwrap();
    let log = Arc::new(
        PostgresLog::open(Database::connect(&server.options()).await.unwrap(), &options())
            .await
            .unwrap(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let (log, stop) = (log.clone(), stop.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in (0..).map(|step| writer * 1_000_000 + step) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match log.append(&format!("call_{number}"), numbered(number)).await {
                        Ok(position) => acknowledged.push((position, number)),
                        Err(AppendError::Unknown | AppendError::Unavailable(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        if let Some(pid) = server.process_id() {
            kill("-KILL", pid);
        }
    }
    let until = Instant::now() + Duration::from_secs(60);
    let database = loop {
        match Database::connect(&server.options()).await {
            Ok(database) => break database,
            Err(error) => assert!(Instant::now() < until, "it did not come back: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = std::collections::BTreeMap::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert!(acknowledged.len() > 100, "only {} acknowledged", acknowledged.len());
    log.close().await;
    let log = PostgresLog::open(database, &options()).await.unwrap();
    for partition in 0..PARTITIONS {
        for (offset, record) in log.read(partition, 0, usize::MAX).await.unwrap().iter().enumerate() {
            assert_eq!(record.position.offset, offset as i64);
            if let Some(number) = acknowledged.remove(&record.position) {
                assert_eq!(number, number_of(record));
            }
        }
    }
    assert!(acknowledged.is_empty(), "{} acknowledged records are gone", acknowledged.len());
    log.close().await;
    server.close().await;
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket() {
    let place = Place::new();
    let deep = place.path().join("d".repeat(60)).join("e".repeat(60));
    for step in [deep.parent().unwrap(), &deep] {
        std::fs::create_dir(step).unwrap();
        std::fs::set_permissions(step, std::fs::Permissions::from_mode(0o711)).unwrap();
    }
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = EmbeddedPostgres::start(&quick(&deep)).await.unwrap();
    let _sweeper = place.sweeper(&server);
    raw(&server).await.query_one("SELECT 1", &[]).await.unwrap();
    server.close().await;
}

#[tokio::test]
async fn a_directory_out_of_reach_is_named_with_what_to_do() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let data = place.path().join("private/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    std::fs::set_permissions(place.path().join("private"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let refused = EmbeddedPostgres::start(&quick(&data))
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    let private = place.path().join("private").canonicalize().unwrap();
    assert!(refused.contains(&format!("chmod o+x {}", private.display())), "{refused}");
}

#[tokio::test]
async fn missing_binaries_are_named_with_what_to_do() {
    let place = Place::new();
    let options = EmbeddedOptions {
        bin: Some(place.path().join("nothing")),
        ..quick(place.path())
    };
    let refused = EmbeddedPostgres::start(&options)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(refused.contains("install the package postgresql"), "{refused}");
}
