//! What an absence costs: Kafka or ClickHouse stands still for minutes while events go on, and comes back. How many events were taken, how live the
//! board stayed, how long until nothing was left to do, and whether everything that was acknowledged is there.

mod load;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use tokio::sync::watch;
use trunkline_connectors::simulator::World;
use trunkline_stores::log::EventLog as _;

use crate::board::product;
use crate::board::script::marked_agent;
use crate::board::watch::{Mark, Screens, Shown, View, follow};
use crate::chaos::ground::{Ground, Part, Programs, SmallDisks};
use crate::chaos::journal::Journal;
use crate::chaos::oracle::{Verdict, compare, stores};
use crate::chaos::schedule::Fault;
use crate::cpu;
use crate::load::histogram;
use load::{Load, Phase};

/// Load before anything is counted.
const WARM: Duration = Duration::from_secs(10);

/// Events that are always on their way count as no backlog.
const ON_THE_WAY: Duration = Duration::from_secs(2);

/// Longest wait until a backlog is gone.
const PATIENCE: Duration = Duration::from_secs(1_200);

const LOOK: Duration = Duration::from_millis(250);

/// Who is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Away {
    /// The event log: events are spooled.
    Kafka,
    /// The analytics: the live board must not notice.
    #[value(name = "clickhouse")]
    ClickHouse,
}

/// `outage`
#[derive(Debug, Args)]
pub struct Outage {
    /// Who is away.
    away: Away,
    /// For how long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Events a second, all the time.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Seconds of load before, and again after, that are compared with the time of the absence.
    #[arg(long, default_value_t = 60)]
    beside_seconds: u64,
    /// The product; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The script that starts a broker.
    #[arg(long, value_name = "FILE", default_value = "deploy/kafka/run")]
    kafka: PathBuf,
    /// The ClickHouse engine's library.
    #[arg(long, value_name = "FILE", env = "TRUNKLINE_CHDB_LIBRARY")]
    library: PathBuf,
    /// Same seed, same conversations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Where records wait.
const WAITING: [&str; 3] = ["spool", "facts", "effects"];

/// When each of [`WAITING`] had no more records than are always on their way, and when the first of them began to have fewer.
#[derive(Debug, Default)]
struct Gone {
    most: [f64; 3],
    begun: [Option<Duration>; 3],
    ended: [Option<Duration>; 3],
}

impl Gone {
    fn look(&mut self, at: Duration, behind: [f64; 3], on_the_way: f64) {
        for (part, records) in behind.into_iter().enumerate() {
            // A node that does not answer says nothing of its spool.
            if records.is_finite() {
                self.most[part] = self.most[part].max(records);
            }
            if records < self.most[part] - on_the_way {
                self.begun[part].get_or_insert(at);
            }
            self.ended[part] = match records > on_the_way {
                true => None,
                false => self.ended[part].or(Some(at)),
            };
        }
    }

    /// When all was done.
    fn after(&self) -> Duration {
        self.ended.into_iter().flatten().max().unwrap_or_default()
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, name) in WAITING.iter().enumerate() {
            let (Some(begun), Some(ended)) = (self.begun[part], self.ended[part]) else {
                continue;
            };
            write!(
                f,
                "  {name}: {:.0} records at most, fewer from {:.1} s on, gone after {:.1} s",
                self.most[part],
                begun.as_secs_f64(),
                ended.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

/// Deliveries to an open board.
struct Live {
    /// By the phase in which the event was due, in microseconds.
    us: Vec<Histogram<u64>>,
    /// Marked events that the board never showed.
    missing: usize,
}

impl Outage {
    /// Runs it and prints what came out; an error when anything that was acknowledged is missing.
    pub async fn run(self) -> Result<()> {
        // Only refuses when another part of this process was faster; there is but one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        println!("{}", cpu::machine());
        let directory = tempfile::Builder::new().prefix("trunkline-outage-").tempdir()?.keep();
        let binary = self.binary.clone().map_or_else(product::beside, Ok)?;
        let programs = Programs {
            binary: &binary,
            kafka: &self.kafka,
            library: &self.library,
        };
        let ground = Ground::lay(&directory, &programs, 1, SmallDisks::default()).await?;
        let done = self.measure(&ground).await;
        ground.clear().await;
        done.with_context(|| format!("what the parts said is in {}", directory.display()))?;
        println!("load after: {}", cpu::machine());
        std::fs::remove_dir_all(&directory).context("remove what the run left behind")
    }

    async fn measure(&self, ground: &Ground) -> Result<()> {
        let world = Arc::new(World::new());
        let journal = Arc::new(Journal::open(&ground.directory.join("acknowledged"))?);
        let (stop, stopped) = watch::channel(false);
        let board = open_board(ground, &world, stopped.clone());
        let load = Load::start(ground, world, journal.clone(), self.rate, self.seed);
        let beside = Duration::from_secs(self.beside_seconds);
        tokio::time::sleep(WARM).await;
        load.enter(Phase::Before);
        tokio::time::sleep(beside).await;
        let away = Duration::from_secs_f64(self.minutes * 60.0);
        load.enter(Phase::Away);
        let part = match self.away {
            Away::Kafka => Part::Kafka,
            Away::ClickHouse => Part::ClickHouse,
        };
        ground.parts().suffer(part, Fault::Freeze, away).await?;
        load.enter(Phase::CatchUp);
        let back = Instant::now();
        let gone = self.until_gone(ground, back).await?;
        load.enter(Phase::After);
        tokio::time::sleep(beside).await;
        let (phases, due) = load.over().await?;
        self.until_gone(ground, Instant::now()).await?;
        stop.send_replace(true);
        let shown = board.await??;
        println!(
            "{:?} away for {:.1} min at {} events/s; backlog gone {:.1} s after its return, with events going on: {:.0} times as fast as they had come",
            self.away,
            self.minutes,
            self.rate,
            gone.after().as_secs_f64(),
            away.as_secs_f64() / gone.after().as_secs_f64()
        );
        println!("{gone}");
        let live = Live::of(&shown, &due)?;
        println!(
            "{:<9}{:>9}{:>9}{:>11}{:>12}{:>12}{:>11}{:>11}{:>11}",
            "phase", "events", "2xx", "share", "ack p50 ms", "ack p99 ms", "on board", "p50 ms", "p99 ms"
        );
        for (phase, answers) in Phase::ALL.iter().zip(&phases) {
            let us = &live.us[*phase as usize];
            println!(
                "{:<9}{:>9}{:>9}{:>10.3}%{:>12.1}{:>12.1}{:>11}{:>11.1}{:>11.1}",
                phase.name(),
                answers.sent,
                answers.accepted,
                100.0 * answers.accepted as f64 / answers.sent.max(1) as f64,
                answers.ack_us.value_at_quantile(0.5) as f64 / 1e3,
                answers.ack_us.value_at_quantile(0.99) as f64 / 1e3,
                us.len(),
                us.value_at_quantile(0.5) as f64 / 1e3,
                us.value_at_quantile(0.99) as f64 / 1e3
            );
        }
        let p99 = |phase: Phase| live.us[phase as usize].value_at_quantile(0.99) as f64;
        println!("board p99 while away / before: {:.2}", p99(Phase::Away) / p99(Phase::Before));
        self.nothing_is_missing(ground, &journal).await?;
        // One that was refused is not on the board, and the ones after it are taken for it; then no time above means anything.
        ensure!(
            live.missing == 0,
            "the board never showed {} of {} marked calls",
            live.missing,
            due.len()
        );
        Ok(())
    }

    /// Waits until what came meanwhile is done: spooled records are in the log, and the groups are at its end but for what is always on its way.
    async fn until_gone(&self, ground: &Ground, since: Instant) -> Result<Gone> {
        let on_the_way = self.rate * ON_THE_WAY.as_secs_f64();
        let log = ground.log().await?;
        let mut gone = Gone::default();
        loop {
            let spooled = ground.metric(0, "trunkline_spool_records").await.unwrap_or(f64::INFINITY);
            let mut ends = 0;
            for partition in 0..log.partitions() {
                ends += log.span(partition).await?.1;
            }
            let mut behind = [spooled, 0.0, 0.0];
            for (group, of) in WAITING[1..].iter().zip(&mut behind[1..]) {
                let committed: i64 = log.committed(group).await?.into_iter().map(|(_, next)| next).sum();
                *of = (ends - committed) as f64;
            }
            gone.look(since.elapsed(), behind, on_the_way);
            if behind.iter().all(|records| *records <= on_the_way) {
                log.close().await;
                return Ok(gone);
            }
            ensure!(
                since.elapsed() < PATIENCE,
                "after {PATIENCE:?} there still wait: {behind:?} ({WAITING:?})"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn nothing_is_missing(&self, ground: &Ground, journal: &Journal) -> Result<()> {
        let log = ground.log().await?;
        let mut verdict = Verdict::default();
        let compared = compare(&log, journal, &mut verdict).await;
        log.close().await;
        compared?;
        ground.end(0).await;
        verdict.stores = stores(ground).await?;
        println!(
            "log: {} records, {} acknowledged events missing; {} differences between log, ClickHouse and ledger",
            verdict.records,
            verdict.missing,
            verdict.stores.len()
        );
        ensure!(verdict.is_clean(), "something is lost or different: {:?}", verdict.stores);
        Ok(())
    }
}

/// One board of all businesses, followed as a browser does.
fn open_board(ground: &Ground, world: &World, stopped: watch::Receiver<bool>) -> tokio::task::JoinHandle<Result<Shown>> {
    let agents = (0..world.businesses.len())
        .map(|business| world.businesses[business].agents[marked_agent(world, business)].id.clone())
        .collect();
    let (_, awaited) = watch::channel(Arc::default());
    let screens = Arc::new(Screens {
        site: ground.site(0),
        api_key: ground.secrets.api_key.clone(),
        agents,
        awaited,
        delivered: AtomicU64::new(0),
        frames: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        open: AtomicU64::new(0),
    });
    tokio::spawn(follow(
        screens,
        View::Board { business: None },
        "/v1/stream?topics=board".to_owned(),
        stopped,
    ))
}

impl Live {
    /// Times each marked event by the phase in which it was due.
    fn of(shown: &Shown, due: &[(Mark, Instant, Phase)]) -> Result<Live> {
        let mut live = Live {
            us: Vec::new(),
            missing: 0,
        };
        for _ in Phase::ALL {
            live.us.push(histogram()?);
        }
        let times: HashMap<Mark, Instant> = shown.deliveries.iter().copied().collect();
        for (mark, due, phase) in due {
            match times.get(mark) {
                Some(shown) => {
                    let us = shown.saturating_duration_since(*due).as_micros() as u64;
                    live.us[*phase as usize].saturating_record(us);
                }
                None => live.missing += 1,
            }
        }
        Ok(live)
    }
}
