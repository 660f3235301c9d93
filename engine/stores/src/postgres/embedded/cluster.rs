//! The server's directories and settings: made once, settings written at every start.

use std::fs::{self, DirBuilder, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::Binaries;
use super::{EmbeddedError, EmbeddedOptions};

/// Superuser, for making roles and databases only.
pub(super) const ROOT_ROLE: &str = "trunkline_root";
/// Owns the schema; migrates.
pub(super) const OWNER_ROLE: &str = "trunkline_owner";
/// What the product works as; bound by row-level security.
pub(super) const APP_ROLE: &str = "trunkline_app";

/// Longest path of a socket that every Unix takes (`sun_path` holds 104 to 108 bytes with the closing zero).
const SOCKET_PATH_BYTES: usize = 103;
/// What Postgres calls its socket.
pub(super) const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// What the name of a socket ends with; nothing listens there on the network.
pub(super) const PORT: u16 = 5432;

const SETTINGS: &str = include_str!("postgresql.conf");

/// Where a server lives.
#[derive(Debug)]
pub(super) struct Cluster {
    pub account: Account,
    pub binaries: Binaries,
    /// `postgres` in the product's data directory.
    pub home: PathBuf,
    /// The server's own data directory.
    pub files: PathBuf,
    /// Directory of the socket.
    pub socket: PathBuf,
    durable: bool,
}

impl Cluster {
    /// Finds or makes the directories.
    pub async fn locate(options: &EmbeddedOptions, account: Account) -> Result<Self, EmbeddedError> {
        let made = |path: &Path, error: std::io::Error| EmbeddedError::Setup(format!("cannot make {}: {error}", path.display()));
        fs::create_dir_all(&options.data).map_err(|error| made(&options.data, error))?;
        let data = options.data.canonicalize().map_err(|error| made(&options.data, error))?;
        if account.switch_to.is_some() {
            let mode = fs::metadata(&data).map_err(|error| made(&data, error))?.mode();
            if mode & 0o001 == 0 {
                // Ours, so we may let the server's account pass through; it can list nothing here.
                fs::set_permissions(&data, Permissions::from_mode(mode | 0o001)).map_err(|error| made(&data, error))?;
            }
        }
        let home = data.join("postgres");
        own_directory(&home, &account)?;
        account.must_enter(&home).await?;
        let files = home.join("cluster");
        let wanted = fs::read_to_string(files.join("PG_VERSION"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let binaries = Binaries::find(options.bin.as_deref(), wanted).await?;
        let socket = socket_directory(&home);
        own_directory(&socket, &account)?;
        Ok(Self {
            account,
            binaries,
            home,
            files,
            socket,
            durable: options.durable,
        })
    }

    /// Makes the server's files on first use and writes the settings.
    pub async fn prepare(&self) -> Result<(), EmbeddedError> {
        if !self.files.join("PG_VERSION").exists() {
            self.initialise().await?;
        }
        let forced = if self.durable { "on" } else { "off" };
        let settings = SETTINGS
            .replace("{socket}", &self.socket.display().to_string().replace('\'', "''"))
            .replace("{durable}", forced);
        self.write("trunkline.conf", &settings)?;
        self.write(
            "pg_hba.conf",
            "# Only our own account, over the private socket, as the roles of pg_ident.conf.\nlocal all all peer map=trunkline\n",
        )?;
        let client = self.account.client_name.replace('"', "");
        let lines = [ROOT_ROLE, OWNER_ROLE, APP_ROLE].map(|role| format!("trunkline \"{client}\" {role}\n"));
        self.write("pg_ident.conf", &lines.concat())
    }

    async fn initialise(&self) -> Result<(), EmbeddedError> {
        // Made beside its place and moved there when complete: a death in between leaves nothing that looks like a cluster.
        let fresh = self.home.join("cluster.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(|error| EmbeddedError::Setup(format!("cannot remove {}: {error}", fresh.display())))?;
        }
        tracing::info!(postgres = self.binaries.major, directory = %self.home.display(), "making the data directory of Postgres");
        let mut command = self.account.command(&self.binaries.program("initdb"));
        command
            .arg("--pgdata")
            .arg(&fresh)
            .args(["--username", ROOT_ROLE, "--encoding", "UTF8", "--locale", "C"]);
        command
            .args(["--auth-local", "peer", "--auth-host", "reject", "--data-checksums"])
            .current_dir(&self.home);
        if !self.durable {
            command.arg("--no-sync");
        }
        let output = command
            .output()
            .await
            .map_err(|error| EmbeddedError::NotStarted(format!("run initdb: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(EmbeddedError::NotStarted(format!("initdb failed ({}): {said}", output.status)));
        }
        let failed = |error: std::io::Error| EmbeddedError::NotStarted(format!("finish the data directory: {error}"));
        let main = fresh.join("postgresql.conf");
        let mut text = fs::read_to_string(&main).map_err(failed)?;
        text.push_str("\ninclude_if_exists = 'trunkline.conf'\n");
        fs::write(&main, text).map_err(failed)?;
        fs::rename(&fresh, &self.files).map_err(failed)?;
        fs::File::open(&self.home).and_then(|home| home.sync_all()).map_err(failed)
    }

    /// Where Postgres notes who listens on the socket.
    pub fn socket_lock(&self) -> PathBuf {
        self.socket.join(format!("{SOCKET_NAME}.lock"))
    }

    /// Leaves nothing behind in the directory for temporary files.
    pub fn remove_far_socket_directory(&self) {
        if !self.socket.starts_with(&self.home)
            && let Err(error) = fs::remove_dir(&self.socket)
        {
            tracing::debug!(%error, "the directory of the socket stays");
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), EmbeddedError> {
        let path = self.files.join(name);
        let failed = |error: std::io::Error| EmbeddedError::Setup(format!("cannot write {}: {error}", path.display()));
        fs::write(&path, text).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        self.account.own(&path)
    }

    /// Address of a database of this server, for one role.
    pub fn address(&self, role: &str, database: &str) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let socket = quoted(&self.socket.display().to_string());
        format!("host={socket} port={PORT} user={role} dbname={}", quoted(database))
    }
}

/// `run` beside the data, or, when that path is too long for a socket, a short one of our own in the directory for temporary files.
fn socket_directory(home: &Path) -> PathBuf {
    let near = home.join("run");
    if near.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_BYTES {
        return near;
    }
    let mut print = DefaultHasher::new();
    home.hash(&mut print);
    Path::new("/tmp").join(format!("trunkline-{:016x}", print.finish()))
}

/// Makes a directory that only `account` may enter, or takes an existing one if nobody else had a hand in it.
fn own_directory(path: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let shown = path.display();
    let failed = |error: std::io::Error| EmbeddedError::Setup(format!("cannot make {shown}: {error}"));
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(failed)?;
            let ours = rustix::process::geteuid().as_raw();
            let theirs = account.switch_to.map_or(ours, |(user, _)| user);
            if !found.is_dir() || (found.uid() != ours && found.uid() != theirs) {
                return Err(EmbeddedError::Setup(format!(
                    "{shown} belongs to someone else (user {}); remove it, or give it to the account {}",
                    found.uid(),
                    account.name
                )));
            }
        }
        Err(error) => return Err(failed(error)),
    }
    account.own(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)
}
