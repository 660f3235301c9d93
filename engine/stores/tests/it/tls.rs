//! A Postgres that is not ours, over TLS: the certificate is checked, always.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trunkline_stores::postgres::{PostgresError, PostgresOptions, migrate};

use crate::ports::free_port;
use crate::server::Sweeper;

/// A server on a port of the loopback that takes nothing but TLS.
struct Given {
    directory: PathBuf,
    port: u16,
    child: Child,
    _sweeper: Sweeper,
}

impl Given {
    async fn start() -> Self {
        let directory = crate::server::directory();
        certificates(&directory);
        run(Command::new("chown").arg("-R").arg(account()).arg(&directory));
        let files = directory.join("data");
        run(as_account(&binaries().join("initdb"))
            .arg("-D")
            .arg(&files)
            .args(["-U", "boss", "--auth=trust", "--no-sync"]));
        let port = free_port();
        std::fs::write(files.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        let settings = [
            "fsync=off".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}/server.crt", directory.display()),
            format!("ssl_key_file={}/server.key", directory.display()),
        ];
        let mut command = as_account(&binaries().join("postgres"));
        command.arg("-D").arg(&files).stdout(Stdio::null()).stderr(Stdio::null());
        for setting in settings {
            command.args(["-c", &setting]);
        }
        let child = command.spawn().unwrap();
        let sweeper = Sweeper::watch(&directory, child.id());
        let given = Self {
            directory,
            port,
            child,
            _sweeper: sweeper,
        };
        let until = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the server did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        given
    }

    fn options(&self, mode: &str, authority: &str) -> PostgresOptions {
        PostgresOptions {
            url: format!("postgresql://boss@127.0.0.1:{}/postgres{mode}", self.port).into(),
            owner_url: None,
            ca_file: Some(self.directory.join(authority)),
            pool_size: 2,
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        // `setpriv` became the server, so this is the server's own number.
        let ended = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(ended.is_ok_and(|status| status.success()) && self.child.wait().is_ok());
    }
}

#[tokio::test]
async fn s066_a_given_server_is_used_over_tls_and_must_prove_who_it_is() {
    let given = Given::start().await;
    for mode in ["", "?sslmode=require"] {
        let options = given.options(mode, "authority.crt");
        migrate(&options).await.unwrap();
        let config = crate::server::config_of(&options).await;
        config.ensure_organisation("Acme").await.unwrap();
    }
    let stranger = migrate(&given.options("", "stranger.crt")).await;
    assert!(
        matches!(&stranger, Err(PostgresError::Unavailable { why, .. }) if why.contains("certificate")),
        "{stranger:?}"
    );
    let plain = migrate(&given.options("?sslmode=disable", "authority.crt")).await;
    assert!(plain.is_err(), "the server takes nothing but TLS, so what came before was TLS");
    let missing = migrate(&given.options("", "nothing.crt")).await;
    assert!(
        matches!(&missing, Err(PostgresError::Misconfigured(text)) if text.contains("nothing.crt")),
        "{missing:?}"
    );
}

/// Makes `authority.crt`, a `stranger.crt` that signed nothing, and `server.crt` with `server.key` for 127.0.0.1.
pub fn certificates(directory: &Path) {
    for name in ["authority", "stranger"] {
        openssl(
            directory,
            &format!("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"),
        );
    }
    openssl(
        directory,
        "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
    );
    std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        directory,
        "x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
    std::fs::set_permissions(directory.join("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn openssl(directory: &Path, arguments: &str) {
    run(Command::new("openssl").args(arguments.split(' ')).current_dir(directory));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// Who may run a server: not root.
fn account() -> String {
    if is_root() {
        "postgres".to_owned()
    } else {
        std::env::var("USER").unwrap()
    }
}

fn as_account(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command
}

fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("bin"));
    versions.max().unwrap()
}
