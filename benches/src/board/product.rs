//! The product as users get it, as a process of its own with a fresh data directory; stopped as a service manager stops it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The first start makes a Postgres cluster and loads half a gigabyte of ClickHouse.
const START: Duration = Duration::from_secs(180);

/// A stop drains and closes the stores.
const STOP: Duration = Duration::from_secs(40);

/// Where the product's own words go, within the data directory.
const LOG: &str = "product.log";

/// What is shown of them when it does not start.
const LOG_SHOWN_BYTES: usize = 2_000;

/// How the demo's secrets are stored beside its data.
#[derive(Deserialize)]
struct Secrets {
    token: String,
    signing_key: String,
    email: String,
    password: String,
    api_key: String,
}

/// A running product.
pub struct Product {
    child: Child,
    // Kept open: a closed pipe would stop a product that prints.
    _output: Lines<BufReader<ChildStdout>>,
    _data: TempDir,
    /// Its process id.
    pub pid: u32,
    /// Where boards are.
    pub site: SocketAddr,
    /// Where events go.
    pub intake: SocketAddr,
    /// Path of the intake.
    pub path: String,
    /// Signs events.
    pub signing_key: String,
    /// Who may sign in.
    pub email: String,
    /// With which password.
    pub password: String,
    /// Opens boards.
    pub api_key: String,
}

impl Product {
    /// Starts `binary`, or the one beside this program, on free loopback ports, with Kafka at `brokers` as its log or its own Postgres, and with
    /// `settings` of `section.key=value` on top.
    pub async fn start(binary: Option<&Path>, brokers: Option<&str>, settings: &[impl AsRef<str>]) -> Result<Product> {
        let binary = binary.map(Path::to_owned).map_or_else(beside, Ok)?;
        let data = tempfile::Builder::new()
            .prefix("trunkline-bench-")
            .tempdir()
            .context("make a data directory")?;
        let log = File::create(data.path().join(LOG)).context("make the product's log")?;
        let mut command = Command::new(&binary);
        for listener in ["server", "intake", "admin"] {
            command.args(["--set", &format!("{listener}.bind=127.0.0.1:0")]);
        }
        command.args(["--set", &format!("data.directory={}", data.path().join("data").display())]);
        if let Some(brokers) = brokers {
            command.args(["--set", "log.store=kafka", "--set", "kafka.replication=1"]);
            command.args(["--set", &format!("kafka.brokers={brokers}")]);
        }
        for setting in settings {
            command.args(["--set", setting.as_ref()]);
        }
        let mut child = command
            .args(["demo", "--quiet-line"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}; build it with the same profile, or give --binary", binary.display()))?;
        let pid = child.id().context("read the product's process id")?;
        let output = child.stdout.take().context("read the product's output")?;
        let mut output = BufReader::new(output).lines();
        let (mut site, mut intake) = (None, None);
        let listening = async {
            while let Some(line) = output.next_line().await? {
                match line
                    .trim()
                    .split_once(char::is_whitespace)
                    .map(|(name, value)| (name, value.trim()))
                {
                    Some(("address", address)) => site = address.strip_prefix("http://").and_then(|text| text.parse().ok()),
                    Some((_, address)) if address.contains("/v1/retell/") => intake = origin(address),
                    _ => {}
                }
                if line.starts_with("Ctrl+C") {
                    return Ok::<bool, std::io::Error>(true);
                }
            }
            Ok(false)
        };
        let started = tokio::time::timeout(START, listening).await;
        let (Ok(Ok(true)), Some(site), Some(intake)) = (started, site, intake) else {
            stop(&mut child, pid).await;
            let said = std::fs::read_to_string(data.path().join(LOG)).unwrap_or_default();
            let from = said.ceil_char_boundary(said.len().saturating_sub(LOG_SHOWN_BYTES));
            bail!("{} did not start; it said last:\n{}", binary.display(), &said[from..]);
        };
        let secrets = std::fs::read_to_string(data.path().join("data/demo.json")).context("read the demo's secrets")?;
        let secrets: Secrets = serde_json::from_str(&secrets).context("read the demo's secrets")?;
        Ok(Product {
            child,
            _output: output,
            _data: data,
            pid,
            site,
            intake,
            path: format!("/v1/retell/{}", secrets.token),
            signing_key: secrets.signing_key,
            email: secrets.email,
            password: secrets.password,
            api_key: secrets.api_key,
        })
    }

    /// Ends it, stores and all.
    pub async fn stop(mut self) {
        stop(&mut self.child, self.pid).await;
    }
}

/// Address of `http://host:port/path`.
fn origin(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

async fn stop(child: &mut Child, pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is as good.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// The product's binary beside this one.
pub fn beside() -> Result<PathBuf> {
    Ok(std::env::current_exe().context("find own program")?.with_file_name("trunkline"))
}
