//! From `kill -9` of the only live node to a right board, with many calls in progress and events going on; beside a consumer that only reads
//! the tail.

mod node;
mod null;
mod place;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::future::join_all;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};
use trunkline_core::door;
use trunkline_core::record::Source;
use trunkline_stores::log::{EventLog, Position};

use crate::directory::{TENANT, WORKSPACE};
use crate::{cpu, median, sample};
use place::Place;

pub use node::LiveNode;
pub use null::NullNode;

/// Appends that are on their way together while the log is filled.
const AT_ONCE: usize = 512;

/// Longest time a node may take, a start from nothing included.
const PATIENCE: Duration = Duration::from_secs(300);

/// `restart`
#[derive(Debug, Args)]
pub struct Restart {
    /// Broker, host:port; a topic of its own is made there. Without it the log is an embedded Postgres.
    #[arg(long)]
    brokers: Option<String>,
    /// Calls in progress.
    #[arg(long, default_value_t = 10_000)]
    calls: usize,
    /// Events a second that go on all the time, the death included.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// Size of a transcript update in bytes.
    #[arg(long, default_value_t = sample::SIZES[1])]
    size: usize,
    /// Seconds between two checkpoints.
    #[arg(long, default_value_t = 5)]
    every: u32,
    /// On Kafka: without the node's own copy of its checkpoints.
    #[arg(long)]
    no_mirror: bool,
    /// Deaths; each at another moment after a checkpoint.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What a node says of itself, one line each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Its board is right for the first time.
    Right(Right),
    /// Everything that was in the log when it began is in a checkpoint.
    Kept,
}

/// A node's first right board.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Right {
    /// Calls in progress on the board.
    in_progress: u64,
    /// Calls offered on it.
    offered: u64,
    /// Whether every partition came from its checkpoint.
    from_checkpoint: bool,
    /// Calls that were restored.
    restored: usize,
    /// Events applied after the checkpoint.
    replayed: i64,
    /// Longest time of a partition from its assignment to its right board.
    took_ms: u64,
}

/// A process under test.
struct Node {
    child: Child,
    words: tokio::sync::mpsc::UnboundedReceiver<Word>,
}

impl Node {
    fn start(command: &str, arguments: &[String], secret: Option<&str>) -> Result<Node> {
        let program = std::env::current_exe().context("find own program")?;
        let mut command_line = Command::new(program);
        command_line.arg(command).args(arguments).stdout(Stdio::piped());
        if let Some(url) = secret {
            command_line.env(place::URL, url);
        }
        let mut child = command_line.spawn().context("start a node")?;
        let output = child.stdout.take().context("read the node's output")?;
        let (say, words) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(word) = serde_json::from_str(&line) {
                    // Nobody listens to a node that was killed.
                    let _ = say.send(word);
                }
            }
        });
        Ok(Node { child, words })
    }

    async fn right(&mut self) -> Result<Right> {
        loop {
            match self.next().await? {
                Word::Right(right) => return Ok(right),
                Word::Kept => {}
            }
        }
    }

    async fn kept(&mut self) -> Result<()> {
        while !matches!(self.next().await?, Word::Kept) {}
        Ok(())
    }

    async fn next(&mut self) -> Result<Word> {
        let word = tokio::time::timeout(PATIENCE, self.words.recv())
            .await
            .context("a node says nothing")?;
        word.context("a node ended")
    }

    /// `kill -9`.
    fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill a node")?;
        self.child.wait().context("wait for a killed node")?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.kill();
    }
}

impl Restart {
    /// Fills the log, lets a node die again and again, and prints how long the next one took.
    pub async fn run(self) -> Result<()> {
        println!("{}", cpu::machine());
        let place = Place::make(self.brokers.as_deref(), !self.no_mirror).await?;
        println!(
            "{} calls in progress on {}, {} events/s of {} B, a checkpoint every {} s; milliseconds from kill -9",
            self.calls,
            place.name(),
            self.rate,
            self.size,
            self.every
        );
        let log = place.open().await?;
        self.fill(&log).await?;
        let appended = Arc::new(AtomicU64::new(0));
        let load = tokio::spawn(go_on(log.clone(), self.calls, self.size, self.rate, appended.clone()));
        let mut arguments = place.arguments();
        arguments.extend(["--every".to_owned(), self.every.to_string()]);
        let mut node = Node::start("live-node", &arguments, place.url().as_deref())?;
        let first = node.right().await?;
        println!(
            "  first start, from the log alone: {} events in {} ms",
            first.replayed, first.took_ms
        );
        node.kept().await?;
        let (mut whole, mut nulls) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            // Somewhere between two checkpoints.
            let share = (round as f64 + 0.5) / self.rounds as f64;
            sleep(Duration::from_secs_f64(f64::from(self.every) * (1.0 + share))).await;
            let killed = Instant::now();
            node.kill()?;
            node = Node::start("live-node", &arguments, place.url().as_deref())?;
            let right = node.right().await?;
            let took = killed.elapsed();
            ensure!(
                right.in_progress == self.calls as u64 && right.offered == self.calls as u64 && right.from_checkpoint,
                "the board is wrong: {right:?}"
            );
            println!(
                "  right after {:>5.0} ms; within the process {:>5} ms, {} calls restored, {} events replayed",
                took.as_secs_f64() * 1e3,
                right.took_ms,
                right.restored,
                right.replayed
            );
            whole.push(took.as_secs_f64() * 1e3);
            if let Some(took) = self.null(&place, right.replayed).await? {
                nulls.push(took);
            }
        }
        load.abort();
        node.kill()?;
        println!("median {:.0} ms", median(&mut whole));
        if !nulls.is_empty() {
            println!(
                "null consumer, static member, the same number of events: median {:.0} ms",
                median(&mut nulls)
            );
        }
        println!("events appended meanwhile: {}", appended.load(Ordering::Relaxed));
        println!("load after: {}", cpu::machine());
        log.close().await;
        place.close().await;
        Ok(())
    }

    /// A consumer that only reads as many events from the end: started, killed, and started again.
    async fn null(&self, place: &Place, events: i64) -> Result<Option<f64>> {
        let Some(mut arguments) = place.null_arguments() else {
            return Ok(None);
        };
        arguments.extend(["--events".to_owned(), events.to_string()]);
        let mut node = Node::start("null-node", &arguments, None)?;
        node.kept().await?;
        let killed = Instant::now();
        node.kill()?;
        let mut node = Node::start("null-node", &arguments, None)?;
        node.kept().await?;
        Ok(Some(killed.elapsed().as_secs_f64() * 1e3))
    }

    /// Every call has begun and spoken twice.
    async fn fill(&self, log: &Arc<dyn EventLog>) -> Result<()> {
        for step in 0..3 {
            for first in (0..self.calls).step_by(AT_ONCE) {
                let appends = (first..(first + AT_ONCE).min(self.calls)).map(|call| append(log, call, step, self.size));
                for appended in join_all(appends).await {
                    appended?;
                }
            }
        }
        Ok(())
    }
}

/// Appends the `step`-th event of a call; where it stands.
pub(crate) async fn append(log: &Arc<dyn EventLog>, call: usize, step: usize, size: usize) -> Result<Position> {
    let body = match step {
        0 => sample::started(call),
        step => sample::updated(call, step, size),
    };
    let (routed, body) = door::route(body);
    let record = door::record(routed, body, sample::clock(), TENANT, WORKSPACE, Source::Webhook);
    log.append(&record.header.key, record.encode()).await.context("append an event")
}

/// Updates of calls chosen at random, open loop.
async fn go_on(log: Arc<dyn EventLog>, calls: usize, size: usize, rate: u64, appended: Arc<AtomicU64>) {
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    let began = Instant::now();
    for n in 0u64.. {
        sleep_until(began + Duration::from_nanos(n * 1_000_000_000 / rate.max(1))).await;
        let (log, appended) = (log.clone(), appended.clone());
        let (call, step) = (chance.random_range(0..calls), 3 + (n as usize / calls) % 60);
        tokio::spawn(async move {
            if append(&log, call, step, size).await.is_ok() {
                appended.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}
