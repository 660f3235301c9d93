//! All parts of a run, as processes: how they are started, told of each other, and made to suffer.

mod broker;
mod command_line;
mod small_disk;
mod suffering;

use std::fmt;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Command;
use tokio::sync::Mutex;
use trunkline_stores::keyring::{Keyring, make_file, new_key};
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::postgres::{Config, Database, DatabaseRole, EmbeddedOptions, EmbeddedPostgres, migrate};
use trunkline_web::demo::{self, Demo};
use trunkline_web::identity::password::Passwords;
use trunkline_web::settings::Environment;

use self::broker::Broker;
use self::command_line::{Template, clickhouse};
use self::small_disk::SmallDisk;
use super::process::Process;
use super::wire::Wire;
use crate::child::free_address;

/// A part is ready within this time, or the run is given up: a first start loads half a gigabyte of ClickHouse.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Partitions of the log.
const PARTITIONS: u32 = 8;

/// Who the nodes are at ClickHouse.
pub const CLICKHOUSE_USER: &str = "trunkline";

/// What can suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A Trunkline process, counted from 0.
    Node(usize),
    /// The broker.
    Kafka,
    /// The Postgres server.
    Postgres,
    /// The ClickHouse engine.
    ClickHouse,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Node(n) => write!(f, "node {n}"),
            Part::Kafka => f.write_str("Kafka"),
            Part::Postgres => f.write_str("Postgres"),
            Part::ClickHouse => f.write_str("ClickHouse"),
        }
    }
}

/// The addresses of one node, kept over its deaths.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    site: SocketAddr,
    intake: SocketAddr,
    admin: SocketAddr,
}

struct Inner {
    nodes: Vec<Mutex<Option<Process>>>,
    /// Of each node, where its spool is; none: it has the disk of everything else.
    disks: Vec<SmallDisk>,
    kafka: Mutex<Broker>,
    postgres: Mutex<EmbeddedPostgres>,
    postgres_wire: Wire,
    clickhouse: Mutex<Option<Process>>,
    clickhouse_wire: Wire,
}

/// What can be made to suffer; cheap to share.
#[derive(Clone)]
pub struct Parts(Arc<Inner>);

/// What processes are made from.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    /// The product.
    pub binary: &'a Path,
    /// The script that starts a broker.
    pub kafka: &'a Path,
    /// The ClickHouse engine's library.
    pub library: &'a Path,
}

/// The whole set-up.
pub struct Ground {
    /// Holds everything.
    pub directory: PathBuf,
    /// Organisation, workspace and keys.
    pub secrets: Demo,
    binary: PathBuf,
    settings: Vec<String>,
    password: String,
    addresses: Vec<Addresses>,
    parts: Parts,
}

/// Disks that can be full, by their size in MiB; none are those of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmallDisks {
    /// Of each node's spool.
    pub spool: Option<u32>,
    /// Of the broker.
    pub broker: Option<u32>,
}

/// A small disk of a node, in the run's directory.
fn spool_of(node: usize) -> String {
    format!("spool-{node}")
}

impl Ground {
    /// Starts everything in `directory` and waits until every node is ready.
    pub async fn lay(directory: &Path, programs: &Programs<'_>, nodes: u16, small: SmallDisks) -> Result<Ground> {
        let Programs { binary, kafka, library } = *programs;
        let broker = Broker::start(kafka, directory, small.broker).await?;
        let brokers = format!("127.0.0.1:{}", broker.port);
        let postgres = EmbeddedPostgres::start(&EmbeddedOptions::new(directory.join("ground"))).await?;
        migrate(&postgres.options()).await?;
        let (postgres_wire, url) = wire_of(&postgres, directory)?;
        let key_file = directory.join("master.key");
        make_file(&key_file, &new_key())?;
        let keyring = Arc::new(Keyring::read(&key_file)?);
        let config = Config::new(Database::connect(&postgres.options()).await?, keyring);
        let passwords = Passwords::new(1)?;
        let hash = async |password: String| Ok(passwords.hash(&SecretString::from(password)).await?);
        let secrets = demo::prepare(&config, (directory, Environment::Live), hash).await?;

        let password = new_key().expose_secret().to_owned();
        let door = free_address();
        let clickhouse = clickhouse(directory, library, door, &password)?;
        let (clickhouse_wire, clickhouse_address) = Wire::tcp(door).await?;

        let topic = "chaos.calls";
        let settings = vec![
            format!("postgres.url={url}"),
            format!("secrets.key_file={}", key_file.display()),
            format!("clickhouse.url=http://{clickhouse_address}"),
            format!("clickhouse.user={CLICKHOUSE_USER}"),
            "log.store=kafka".to_owned(),
            format!("log.partitions={PARTITIONS}"),
            format!("kafka.brokers={brokers}"),
            format!("kafka.topic={topic}"),
            "kafka.replication=1".to_owned(),
            // Nobody is at home there: what never came is not owed, and what came must not be mended from elsewhere.
            format!("retell.api_url=http://{}", free_address()),
            "retell.reconcile_every_seconds=0".to_owned(),
            "limits.key_per_second=0".to_owned(),
            "limits.address_per_second=0".to_owned(),
            "telemetry.format=json".to_owned(),
        ];
        let addresses: Vec<Addresses> = (0..nodes)
            .map(|_| {
                Ok(Addresses {
                    site: free_address(),
                    intake: free_address(),
                    admin: free_address(),
                })
            })
            .collect::<Result<_>>()?;
        let mut disks = Vec::new();
        for (node, mib) in (0..nodes).filter_map(|node| Some((node, small.spool?))) {
            disks.push(SmallDisk::make(&directory.join(spool_of(node.into())), mib).await?);
        }
        let mut ground = Ground {
            directory: directory.to_owned(),
            secrets,
            binary: binary.to_owned(),
            settings,
            password,
            addresses,
            parts: Parts(Arc::new(Inner {
                nodes: Vec::new(),
                disks,
                kafka: Mutex::new(broker),
                postgres: Mutex::new(postgres),
                postgres_wire,
                clickhouse: Mutex::new(Some(clickhouse)),
                clickhouse_wire,
            })),
        };
        wait_for_http(&format!("http://{clickhouse_address}/ping"), "ClickHouse").await?;
        let mut started = Vec::new();
        // One after the other: the first brings the schemas up to date and makes the topics.
        for node in 0..ground.addresses.len() {
            started.push(Mutex::new(Some(ground.node(node)?)));
            ground.ready(node).await?;
        }
        let inner = Arc::get_mut(&mut ground.parts.0).context("nobody shares the parts yet")?;
        inner.nodes = started;
        Ok(ground)
    }

    /// Where events are taken.
    pub fn intakes(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|addresses| addresses.intake).collect()
    }

    /// Where a node's pages and API are.
    pub fn site(&self, node: usize) -> SocketAddr {
        self.addresses[node].site
    }

    /// What can suffer.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Processes that ended without being asked to; each was started again.
    pub fn ended_unasked(&self) -> u64 {
        // No fault is under way when this is asked.
        let nodes = self.parts.0.nodes.iter().filter_map(|node| node.try_lock().ok());
        let clickhouse = self.parts.0.clickhouse.try_lock().ok();
        let processes = nodes.chain(clickhouse);
        processes.filter_map(|process| process.as_ref().map(Process::unasked)).sum()
    }

    /// The bench's own client of the log.
    pub async fn log(&self) -> Result<KafkaLog> {
        let word = |name: &str| {
            let found = self.settings.iter().find_map(|setting| setting.strip_prefix(name));
            found.map(str::to_owned).with_context(|| format!("no setting {name}"))
        };
        let options = KafkaOptions {
            partitions: PARTITIONS,
            ..KafkaOptions::new(&word("kafka.brokers=")?, &word("kafka.topic=")?)
        };
        let log = KafkaLog::open(options).await?;
        ensure!(log.partitions() == PARTITIONS, "the log has {} partitions", log.partitions());
        Ok(log)
    }

    /// Waits until a node serves and takes events.
    pub async fn ready(&self, node: usize) -> Result<()> {
        let url = format!("http://{}/readyz", self.addresses[node].admin);
        wait_for_http(&url, &format!("node {node}")).await
    }

    /// The answer of a node's API.
    pub async fn get(&self, node: usize, path: &str) -> Result<serde_json::Value> {
        let url = format!("http://{}{path}", self.addresses[node].site);
        let answer = client()?.get(url).bearer_auth(&self.secrets.api_key).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// A figure of a node's metrics, summed over its labels.
    pub async fn metric(&self, node: usize, name: &str) -> Result<f64> {
        let url = format!("http://{}/metrics", self.addresses[node].admin);
        let text = client()?.get(url).send().await?.error_for_status()?.text().await?;
        let lines = text.lines().filter(|line| line.starts_with(name));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// What a node says of itself, for people.
    pub async fn condition(&self, node: usize) -> String {
        let url = format!("http://{}/readyz?verbose", self.addresses[node].admin);
        let asked = async { anyhow::Ok(client()?.get(url).send().await?.text().await?) };
        asked.await.unwrap_or_else(|error| format!("{error:#}"))
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.addresses.len()
    }

    /// Ends a node in order, for good.
    pub async fn end(&self, node: usize) {
        if let Some(node) = self.parts.0.nodes[node].lock().await.take() {
            node.end().await;
        }
    }

    /// Runs another command of the product with the nodes' settings.
    pub async fn command(&self, words: &[&str]) -> Result<std::process::Output> {
        let mut command = Command::new(&self.binary);
        self.tell(&mut command, "beside");
        command.args(words).stdin(Stdio::null());
        Ok(command.output().await?)
    }

    /// Ends everything that still runs.
    pub async fn clear(self) {
        for node in 0..self.parts.0.nodes.len() {
            self.end(node).await;
        }
        if let Some(clickhouse) = self.parts.0.clickhouse.lock().await.take() {
            clickhouse.end().await;
        }
        self.parts.0.kafka.lock().await.end().await;
        if let Ok(inner) = Arc::try_unwrap(self.parts.0).map_err(|_| ()) {
            inner.postgres.into_inner().close().await;
        }
    }

    fn node(&self, number: usize) -> Result<Process> {
        let name = format!("node-{number}");
        let addresses = self.addresses[number];
        let mut template = Template {
            binary: self.binary.clone(),
            arguments: Vec::new(),
            password: self.password.clone(),
            directory: self.directory.clone(),
            name: name.clone(),
        };
        let mut own = vec![
            format!("server.bind={}", addresses.site),
            format!("intake.bind={}", addresses.intake),
            format!("admin.bind={}", addresses.admin),
            format!("kafka.member={name}"),
            format!("data.directory={}", self.directory.join(&name).display()),
        ];
        if !self.parts.0.disks.is_empty() {
            own.push(format!("spool.directory={}", self.directory.join(spool_of(number)).display()));
        }
        for setting in self.settings.iter().chain(&own) {
            template.arguments.extend(["--set".to_owned(), setting.clone()]);
        }
        template.arguments.push("serve".to_owned());
        Process::start(format!("node {number}"), move || template.make())
    }

    fn tell(&self, command: &mut Command, name: &str) {
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command
            .args(["--set", &format!("data.directory={}", self.directory.join(name).display())])
            .env("TRUNKLINE_CLICKHOUSE__PASSWORD", &self.password);
    }
}

/// A wire to Postgres's socket, and the owner's address through it as settings take it.
fn wire_of(postgres: &EmbeddedPostgres, directory: &Path) -> Result<(Wire, String)> {
    let (socket, here) = (postgres.socket(), directory.join("wire"));
    DirBuilder::new().mode(0o700).create(&here)?;
    let name = socket.file_name().context("a socket has a name")?;
    let wire = Wire::unix(&here.join(name), socket.clone())?;
    Ok((wire, postgres.url(DatabaseRole::Owner, Some(&here))))
}

fn client() -> Result<reqwest::Client> {
    // Everything here is plain HTTP, and what is looked at four times a second must not read the system's authorities each time.
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    Ok(client.timeout(Duration::from_secs(30)).build()?)
}

async fn wait_for_http(url: &str, name: &str) -> Result<()> {
    let client = client()?;
    let ready = async {
        while !matches!(client.get(url).send().await, Ok(answer) if answer.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(READY_WITHIN, ready).await;
    waited.ok().with_context(|| format!("{name} is not ready within {READY_WITHIN:?}"))
}
