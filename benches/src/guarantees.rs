//! What the guarantees cost: the live group and the facts group read a filled log to its end, with checkpoints and intents and without them, in turn.

mod node;
mod unguarded;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use trunkline_stores::keyring::new_key;

use crate::chaos::PASSWORD;
use crate::child::free_address;
use crate::consume::fill::{EVENTS_PER_CALL, fill};
use crate::{cpu, median, sample};

pub use node::GuardedNode;

/// A first start loads half a gigabyte of ClickHouse.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// `guarantees`
#[derive(Debug, Args)]
pub struct Guarantees {
    /// Broker, host:port.
    #[arg(long)]
    brokers: String,
    /// The ClickHouse engine's library.
    #[arg(long, value_name = "FILE", env = "TRUNKLINE_CHDB_LIBRARY")]
    library: PathBuf,
    /// Calls in the log, each of ten events.
    #[arg(long, default_value_t = 20_000)]
    calls: usize,
    /// Size of a transcript update in bytes.
    #[arg(long, default_value_t = sample::SIZES[1])]
    size: usize,
    /// Rounds, each once with and once without.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What a node did.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Done {
    /// Events in the log.
    events: u64,
    /// Calls on its board.
    offered: u64,
    /// Rows of events in ClickHouse.
    rows: u64,
    /// CPU time of the node, without its broker and its ClickHouse.
    cpu_ms: u64,
    /// From the start of the groups until both were at the end.
    wall_ms: u64,
}

/// The engine's process; killed when dropped.
struct ClickHouse {
    child: Child,
    url: String,
    password: String,
    _data: tempfile::TempDir,
}

impl Guarantees {
    /// Fills the log, lets nodes read it in turn, and prints the medians and their ratio.
    pub async fn run(self) -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        println!("{}", cpu::machine());
        let topic = format!("bench.events.{}.{}", self.size, self.calls);
        fill(&self.brokers, &topic, self.calls, self.size).await?;
        let clickhouse = ClickHouse::start(&self.library).await?;
        println!(
            "{} events of {} B into live figures and ClickHouse, {} rounds; events a second",
            self.calls * EVENTS_PER_CALL,
            self.size,
            self.rounds
        );
        // By what is measured: CPU seconds, seconds; with, without.
        let mut rates = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        let mut ratios = [Vec::new(), Vec::new()];
        for round in 0..self.rounds {
            // In turn, so that neither always has the warmer caches.
            let mut both = [None, None];
            for turn in 0..2 {
                let without = (round + turn) % 2;
                both[without] = Some(self.stretch(&clickhouse, &topic, without == 0)?);
            }
            let [Some(with), Some(without)] = both else { continue };
            for (what, rate) in [cpu_rate as fn(&Done) -> f64, wall_rate].into_iter().enumerate() {
                let (with, without) = (rate(&with), rate(&without));
                rates[what][0].push(with);
                rates[what][1].push(without);
                ratios[what].push(with / without);
            }
        }
        for (what, name) in ["a CPU second of the node", "a second"].into_iter().enumerate() {
            let [with, without] = &mut rates[what];
            println!(
                "{name:<26} with {:>7.0}   without {:>7.0}   median of the rounds' ratios {:.3}   (of each: {})",
                median(with),
                median(without),
                median(&mut ratios[what].clone()),
                ratios[what].iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" ")
            );
        }
        println!("load after: {}", cpu::machine());
        Ok(())
    }

    fn stretch(&self, clickhouse: &ClickHouse, topic: &str, guarded: bool) -> Result<Done> {
        let program = std::env::current_exe().context("find own program")?;
        let mut command = Command::new(program);
        command
            .args([
                "guarded-node",
                "--brokers",
                &self.brokers,
                "--topic",
                topic,
                "--clickhouse",
                &clickhouse.url,
            ])
            .env(PASSWORD, &clickhouse.password);
        if !guarded {
            command.arg("--without");
        }
        let output = command.output()?;
        ensure!(
            output.status.success(),
            "a node failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let done: Done = serde_json::from_slice(&output.stdout).context("read what the node said")?;
        // A wrong answer voids the figure.
        let expected = (self.calls * EVENTS_PER_CALL) as u64;
        ensure!(
            (done.events, done.offered, done.rows) == (expected, self.calls as u64, expected),
            "with guarantees {guarded}: {done:?}"
        );
        Ok(done)
    }
}

fn cpu_rate(done: &Done) -> f64 {
    done.events as f64 * 1e3 / done.cpu_ms as f64
}

fn wall_rate(done: &Done) -> f64 {
    done.events as f64 * 1e3 / done.wall_ms as f64
}

impl ClickHouse {
    async fn start(library: &Path) -> Result<ClickHouse> {
        let program = std::env::current_exe().context("find own program")?;
        let (data, password) = (tempfile::tempdir()?, new_key().expose_secret().to_owned());
        let address = free_address();
        let child = Command::new(program)
            .arg("clickhouse-door")
            .arg("--library")
            .arg(library)
            .arg("--data")
            .arg(data.path().join("clickhouse"))
            .args(["--address", &address.to_string()])
            .env(PASSWORD, &password)
            .stdin(Stdio::null())
            .spawn()
            .context("start ClickHouse")?;
        let clickhouse = ClickHouse {
            child,
            url: format!("http://{address}"),
            password,
            _data: data,
        };
        let (begun, client) = (Instant::now(), reqwest::Client::builder().no_proxy().build()?);
        let ping = format!("{}/ping", clickhouse.url);
        while !matches!(client.get(&ping).send().await, Ok(answer) if answer.status().is_success()) {
            ensure!(begun.elapsed() < READY_WITHIN, "ClickHouse is not ready within {READY_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(clickhouse)
    }
}

impl Drop for ClickHouse {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
