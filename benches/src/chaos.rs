//! Everything fails, again and again, in an order that a seed decides, while a simulated Retell sends; and at the end every event that was
//! acknowledged is in the log, and counts once in ClickHouse, in the ledger and on the board.
//!
//! All parts are real processes: Trunkline nodes, a Kafka broker, a Postgres server, the ClickHouse engine behind its door. What was
//! acknowledged is noted by the bench itself, flushed to disk before the sender hears of it, and nothing of the product is asked for it.

mod clickhouse;
pub(crate) mod ground;
pub(crate) mod journal;
mod line;
pub(crate) mod oracle;
mod process;
mod said;
pub(crate) mod schedule;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use tokio::sync::watch;
use trunkline_connectors::simulator::{Disorder, Mix, Sender, SenderOptions, Tally, World};
use trunkline_core::signature::SigningKey;

use crate::{board::product, cpu};
use ground::{Ground, Programs, SmallDisks};
use journal::Journal;
use line::Line;
use oracle::Verdict;
use schedule::{Happened, Schedule};

pub use clickhouse::{ClickHouseDoor, PASSWORD};
pub use ground::CLICKHOUSE_USER;

/// How far back the simulated calls begin: like the rest of the suite, within one board's day.
const HISTORY: Duration = Duration::from_secs(3 * 3_600);

/// Events of a simulated second of that past: it is used up before the present is reached, so nothing ends in the future.
const EVENTS_PER_HISTORY_SECOND: f64 = 130_000.0;

/// Tries of the sender: nothing may be given up, or what is owed could not be counted.
const ATTEMPTS: u32 = 100_000;

/// `chaos`
#[derive(Debug, Args)]
pub struct Chaos {
    /// The product; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The script that starts a broker.
    #[arg(long, value_name = "FILE", default_value = "deploy/kafka/run")]
    kafka: PathBuf,
    /// The ClickHouse engine's library.
    #[arg(long, value_name = "FILE", env = "TRUNKLINE_CHDB_LIBRARY")]
    library: PathBuf,
    /// Events to send, about.
    #[arg(long, default_value_t = 20_000)]
    events: u64,
    /// Faults, spread evenly over these events.
    #[arg(long, default_value_t = 20)]
    faults: u64,
    /// Trunkline nodes, each with every role.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    nodes: u16,
    /// Same seed, same faults and the same calls. Where exactly a fault falls is up to the machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of acknowledgements that never reach the sender.
    #[arg(long, default_value_t = 0.3)]
    lost_answers: f64,
    /// Share of events that are sent twice.
    #[arg(long, default_value_t = 0.1)]
    duplicates: f64,
    /// Share of events that later ones overtake.
    #[arg(long, default_value_t = 0.1)]
    reordered: f64,
    /// Requests under way at most.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Spools on disks of their own of so many MiB, which are full now and then: mounted as tmpfs, which takes root.
    #[arg(long, value_name = "MIB")]
    small_disk: Option<u32>,
    /// The broker on a disk of its own of so many MiB, which is full now and then: it has to hold all that the run sends. Takes root as well.
    #[arg(long, value_name = "MIB")]
    small_broker_disk: Option<u32>,
    /// Keep everything (logs of all parts, what was acknowledged, data) in this new directory.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What came out.
#[derive(Debug, Serialize)]
struct Report {
    machine: [String; 2],
    seed: u64,
    nodes: u16,
    /// Requests that reached a node.
    forwarded: u64,
    /// Of these, answered 2xx.
    acknowledged: u64,
    /// Of these, answers that the sender was not told.
    answers_lost: u64,
    /// Different events among the acknowledged ones.
    different: usize,
    /// Seconds from the first to the last acknowledgement.
    load_seconds: f64,
    faults: Vec<Happened>,
    /// Processes that ended by themselves and were started again.
    ended_unasked: u64,
    verdict: Verdict,
}

impl Chaos {
    /// Runs it; an error when anything is lost, counted twice or different.
    pub async fn run(self) -> Result<()> {
        ensure!((0.0..1.0).contains(&self.lost_answers), "lost answers are a share below 1");
        ensure!(
            self.library.exists(),
            "there is no ClickHouse engine at {}: run deploy/clickhouse-engine",
            self.library.display()
        );
        // Only refuses when another part of this process was faster; there is but one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let before = cpu::machine();
        let directory = match &self.keep {
            Some(directory) => {
                std::fs::create_dir(directory).with_context(|| format!("make the new directory {}", directory.display()))?;
                directory.canonicalize()?
            }
            None => tempfile::Builder::new().prefix("trunkline-chaos-").tempdir()?.keep(),
        };
        let binary = self.binary.clone().map_or_else(product::beside, Ok)?;
        let programs = Programs {
            binary: &binary,
            kafka: &self.kafka,
            library: &self.library,
        };
        let small = SmallDisks {
            spool: self.small_disk,
            broker: self.small_broker_disk,
        };
        let ground = Ground::lay(&directory, &programs, self.nodes, small).await?;
        let done = self.storm(&ground, before).await;
        ground.clear().await;
        let report = done.with_context(|| {
            let complaints = said::complaints(&directory);
            format!(
                "what the parts said is in {}; their last complaints:\n{complaints}",
                directory.display()
            )
        })?;
        match self.json {
            true => println!("{}", serde_json::to_string(&report)?),
            false => print(&report),
        }
        ensure!(
            report.verdict.is_clean(),
            "something was lost, counted twice or is different; everything is kept in {}",
            directory.display()
        );
        if self.keep.is_none() {
            std::fs::remove_dir_all(&directory).context("remove what the run left behind")?;
        }
        Ok(())
    }

    async fn storm(&self, ground: &Ground, before: String) -> Result<Report> {
        let journal = Arc::new(Journal::open(&ground.directory.join("acknowledged"))?);
        let line = Line::open(ground.intakes(), journal.clone(), self.lost_answers, self.seed)?;
        let (stop, stopped) = watch::channel(false);
        let sender = Sender::new(Arc::new(World::new()), self.sender(ground, &line))?;
        let begun = Instant::now();
        let sending = tokio::spawn(async move {
            let tally: Tally = sender.run(stopped).await;
            (tally, Instant::now())
        });
        let schedule = Schedule::draw(self.seed, self.faults, ground.parts()).await;
        let acknowledged = journal.clone();
        let faults = schedule
            .happen(ground.parts(), self.events, || acknowledged.requests(), || sending.is_finished())
            .await;
        // Whoever sends now sends to parts that stay.
        let (tally, ended) = sending.await.context("send")?;
        drop(stop);
        ensure!(tally.given_up == 0, "the sender gave up {} events", tally.given_up);
        let (forwarded, lost) = line.close().await;
        let ended_unasked = ground.ended_unasked();
        let verdict = oracle::judge(ground, &journal, &tally).await?;
        Ok(Report {
            machine: [before, cpu::machine()],
            seed: self.seed,
            nodes: self.nodes,
            forwarded,
            acknowledged: journal.requests(),
            answers_lost: lost,
            different: journal.different(),
            load_seconds: (ended - begun).as_secs_f64(),
            faults,
            ended_unasked,
            verdict,
        })
    }

    fn sender(&self, ground: &Ground, line: &Line) -> SenderOptions {
        SenderOptions {
            url: format!("http://{}/v1/retell/{}", line.address, ground.secrets.token),
            key: SigningKey::new(&ground.secrets.signing_key),
            calls_per_second: self.events as f64 / EVENTS_PER_HISTORY_SECOND,
            history: HISTORY,
            calls_limit: None,
            events_limit: Some(self.events),
            history_only: true,
            seed: self.seed,
            in_flight: self.in_flight,
            attempts: ATTEMPTS,
            without_transcripts: false,
            mix: Mix::default(),
            disorder: Disorder {
                duplicates: self.duplicates,
                reordered: self.reordered,
                late_ends: 0.02,
                missing_ends: 0.02,
                unheard: 0.0,
            },
        }
    }
}

fn print(report: &Report) {
    println!("{}", report.machine[0]);
    println!(
        "seed {}, {} nodes: {} requests reached a node, {} acknowledged ({} different events), {} answers lost on the way",
        report.seed, report.nodes, report.forwarded, report.acknowledged, report.different, report.answers_lost
    );
    for fault in &report.faults {
        println!("  {:>9} acknowledged  {:>10}  {}", fault.acknowledged, fault.part, fault.what);
    }
    println!(
        "{} faults in {:.0} s; {} processes ended unasked",
        report.faults.len(),
        report.load_seconds,
        report.ended_unasked
    );
    println!("{}", report.verdict);
    println!("load after: {}", report.machine[1]);
}
