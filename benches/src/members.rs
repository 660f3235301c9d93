//! Two live nodes share a log, one of them comes and goes again and again: how long the events of partitions that stay where they are take
//! meanwhile, beside the time in between; and that an owner that was stopped and wakes changes nothing.

mod node;
mod watch;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::future::join_all;
use hdrhistogram::Histogram;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use trunkline_actors::{BoardScope, Engine, EngineOptions, Limits, Live};
use trunkline_core::access::Sight;
use trunkline_core::metric::Window;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::KafkaLog;
use trunkline_stores::postgres::Directory;

use crate::directory::{TENANT, directory};
use crate::load::histogram;
use crate::restart::append;
use crate::{cpu, sample, topic};
use watch::Watch;

pub use node::MemberNode;

/// Appends that are on their way together while the log is filled.
const AT_ONCE: usize = 256;

/// Longest wait for anything: a group's session, a rebuild, a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// After a change is done its last effects still count as its own.
const AFTER: Duration = Duration::from_secs(1);

/// Time between two changes, with which they are compared.
const CALM: Duration = Duration::from_secs(3);

/// A stopped node sleeps at least so long: longer than its session of ten seconds.
const ASLEEP: Duration = Duration::from_secs(15);

/// `members`
#[derive(Debug, Args)]
pub struct Members {
    /// Broker, host:port; a topic of its own is made there.
    #[arg(long)]
    brokers: String,
    /// Joins and leaves of the second node.
    #[arg(long, default_value_t = 100)]
    changes: usize,
    /// Calls in progress.
    #[arg(long, default_value_t = 2_000)]
    calls: usize,
    /// Events a second.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Size of a transcript update in bytes.
    #[arg(long, default_value_t = sample::SIZES[1])]
    size: usize,
}

/// What the second node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Joins,
    /// SIGTERM: it gives its partitions back.
    Leaves,
    /// `kill -9`: its partitions move when its session has run out.
    Dies,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Joins, Kind::Leaves, Kind::Dies];

    fn told(self) -> &'static str {
        match self {
            Kind::Joins => "  while a node joins",
            Kind::Leaves => "  while it leaves in order",
            Kind::Dies => "  after it died",
        }
    }
}

/// The second node.
struct Other {
    child: Child,
    lines: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Other {
    fn start(brokers: &str, topic: &str) -> Result<Other> {
        let program = std::env::current_exe().context("find own program")?;
        let mut child = Command::new(program)
            .args(["member-node", "--brokers", brokers, "--topic", topic])
            .stdout(Stdio::piped())
            .spawn()
            .context("start the second node")?;
        let output = child.stdout.take().context("read its output")?;
        let (say, lines) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens to a node that was killed.
                let _ = say.send(line);
            }
        });
        Ok(Other { child, lines })
    }

    /// Waits until it reads partitions, and their boards are right.
    async fn joined(&mut self) -> Result<()> {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        line.context("the second node says nothing")?.context("the second node ended")?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process has an id")?;
        kill_process(pid, signal).context("signal the second node")
    }

    async fn gone(mut self) -> Result<()> {
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "the second node does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the first node and the load share.
struct Ground {
    log: Arc<dyn EventLog>,
    watch: Arc<Watch>,
    stop: Arc<AtomicBool>,
    appended: Arc<AtomicU64>,
}

impl Members {
    /// Runs it and prints the figures; an error when a board is wrong.
    pub async fn run(self) -> Result<()> {
        println!("{}", cpu::machine());
        let name = format!("bench.members.{}", uuid::Uuid::new_v4());
        let log: Arc<dyn EventLog> = Arc::new(KafkaLog::open(topic::options(&self.brokers, &name)).await?);
        self.fill(&log).await?;
        let (_keep, directory) = tokio::sync::watch::channel(Arc::new(directory()));
        let engine = start(&log, &directory)?;
        let live = engine.live();
        whole(&live).await?;
        let ground = Ground {
            log: log.clone(),
            watch: Arc::new(Watch::default()),
            stop: Arc::default(),
            appended: Arc::default(),
        };
        let looking = watch::look(live.clone(), ground.watch.clone(), ground.stop.clone());
        let load = tokio::spawn(go_on(
            ground.log.clone(),
            ground.watch.clone(),
            ground.stop.clone(),
            ground.appended.clone(),
            (self.calls, self.size, self.rate),
        ));
        self.changes(&ground, &live, &name).await?;
        let asleep = self.sleeper(&live, &name).await?;
        ground.stop.store(true, Ordering::Relaxed);
        load.await?;
        looking.join().ok().context("watch the first node")?;
        self.is_right(&ground, &live).await?;
        engine.stop().await;
        // What the sleeper wrote after it woke would be in the checkpoints.
        let again = start(&log, &directory)?;
        let live = again.live();
        whole(&live).await?;
        self.is_right(&ground, &live).await?;
        println!(
            "a node was stopped for {:.0} s, lost its partitions and woke: the board and what a restart makes of the checkpoints are right",
            asleep.as_secs_f64()
        );
        println!(
            "events {}: none lost, none counted twice; load after: {}",
            ground.appended.load(Ordering::Relaxed) + (self.calls * 3) as u64,
            cpu::machine()
        );
        again.stop().await;
        log.close().await;
        Ok(())
    }

    /// The second node joins and leaves, in order and by death in turn.
    async fn changes(&self, ground: &Ground, live: &Live, name: &str) -> Result<()> {
        let (mut calm, mut moved) = (histogram()?, histogram()?);
        let mut unmoved = [histogram()?, histogram()?, histogram()?];
        let mut other: Option<Other> = None;
        let mut worst = Duration::ZERO;
        for change in 0..self.changes {
            ground.watch.begin();
            tokio::time::sleep(CALM).await;
            let still = ground.watch.end();
            still.stayed.iter().for_each(|us| calm.saturating_record(*us));
            ground.watch.begin();
            let begun = Instant::now();
            let kind = match other.take() {
                None => {
                    let mut node = Other::start(&self.brokers, name)?;
                    node.joined().await?;
                    other = Some(node);
                    Kind::Joins
                }
                Some(node) => {
                    let (kind, signal) = match change % 4 {
                        1 => (Kind::Leaves, Signal::TERM),
                        _ => (Kind::Dies, Signal::KILL),
                    };
                    node.signal(signal)?;
                    node.gone().await?;
                    whole(live).await?;
                    kind
                }
            };
            tokio::time::sleep(AFTER).await;
            worst = worst.max(begun.elapsed());
            let change = ground.watch.end();
            change.stayed.iter().for_each(|us| unmoved[kind as usize].saturating_record(*us));
            change.went.iter().for_each(|us| moved.saturating_record(*us));
        }
        drop(other);
        whole(live).await?;
        println!(
            "{} joins and leaves, {} events/s of {} B, {} calls in progress",
            self.changes, self.rate, self.size, self.calls
        );
        let mut all = histogram()?;
        for of in &unmoved {
            all.add(of)?;
        }
        let by_kind = Kind::ALL.map(|kind| (kind.told(), &unmoved[kind as usize]));
        let beside = [("between two changes", &calm), ("while it changes, partitions that stay", &all)];
        let told = beside.into_iter().chain(by_kind);
        for (what, us) in told.chain([("while it changes, partitions that come or go", &moved)]) {
            println!(
                "{what:<46}{:>9} events   p50 {:>8.1} ms   p99 {:>8.1} ms   max {:>8.1} ms",
                us.len(),
                ms(us, 0.5),
                ms(us, 0.99),
                us.max() as f64 / 1e3
            );
        }
        println!(
            "p99 of partitions that stay, of that in between: {:.2}; longest change {:.1} s",
            ms(&all, 0.99) / ms(&calm, 0.99),
            worst.as_secs_f64()
        );
        Ok(())
    }

    /// A second node that has partitions is stopped until they are somewhere else, wakes, and ends.
    async fn sleeper(&self, live: &Live, name: &str) -> Result<Duration> {
        let mut other = Other::start(&self.brokers, name)?;
        other.joined().await?;
        other.signal(Signal::STOP)?;
        let begun = Instant::now();
        tokio::time::sleep(ASLEEP).await;
        whole(live).await?;
        let asleep = begun.elapsed();
        other.signal(Signal::CONT)?;
        // It goes on with what it held, and takes its next checkpoint, before it hears that others have its partitions.
        tokio::time::sleep(ASLEEP).await;
        other.signal(Signal::TERM)?;
        other.gone().await?;
        whole(live).await?;
        Ok(asleep)
    }

    /// The board shows each call once, and every event has been applied.
    async fn is_right(&self, ground: &Ground, live: &Live) -> Result<()> {
        let mut ends = Vec::new();
        for partition in 0..ground.log.partitions() {
            ends.push(ground.log.span(partition).await?.1);
        }
        let begun = Instant::now();
        loop {
            let next: Vec<i64> = live.partitions().iter().map(|state| state.next).collect();
            if next == ends {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "applied up to {next:?} of {ends:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Snapshots come a fifth of a second later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let scope = BoardScope {
            window: Window::Minutes(25 * 60),
            ..BoardScope::whole(Sight::All)
        };
        let board = live.board(TENANT, &scope);
        let calls = self.calls as u64;
        ensure!(
            board.now.in_progress == calls && board.offered.total == calls && live.completeness_of_all().gaps.is_empty(),
            "the board is wrong: {} in progress, {} offered of {calls}",
            board.now.in_progress,
            board.offered.total
        );
        Ok(())
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

fn ms(us: &Histogram<u64>, quantile: f64) -> f64 {
    us.value_at_quantile(quantile) as f64 / 1e3
}

/// A live node as it is served, with checkpoints every second.
fn start(log: &Arc<dyn EventLog>, directory: &tokio::sync::watch::Receiver<Arc<Directory>>) -> Result<Engine> {
    let options = EngineOptions {
        limits: Limits {
            checkpoint_ms: Some(1_000),
            ..Limits::default()
        },
        ..EngineOptions::default()
    };
    Ok(Engine::start(log.clone(), directory.clone(), options)?)
}

/// Waits until this node has all partitions, and their boards are right.
async fn whole(live: &Live) -> Result<()> {
    let begun = Instant::now();
    loop {
        let state = live.completeness_of_all();
        if !state.rebuilding && state.assigned == state.partitions {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "the first node does not get all partitions: {state:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Updates of calls chosen at random, open loop; each is noted with its place when the log has it.
async fn go_on(
    log: Arc<dyn EventLog>,
    watch: Arc<Watch>,
    stop: Arc<AtomicBool>,
    appended: Arc<AtomicU64>,
    (calls, size, rate): (usize, usize, u64),
) {
    let mut chance = ChaCha8Rng::seed_from_u64(11);
    let begun = tokio::time::Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for n in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep_until(begun + Duration::from_nanos(n * 1_000_000_000 / rate.max(1))).await;
        let (log, watch, appended) = (log.clone(), watch.clone(), appended.clone());
        let (call, step) = (chance.random_range(0..calls), 3 + (n as usize / calls) % 60);
        under_way.spawn(async move {
            if let Ok(position) = append(&log, call, step, size).await {
                watch.stored(position);
                appended.fetch_add(1, Ordering::Relaxed);
            }
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}
