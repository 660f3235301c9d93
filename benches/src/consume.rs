//! Events per CPU second from a filled Kafka topic to live figures, beside a consumer that only counts.

pub mod core;
pub mod engine;
pub mod fill;
pub mod null;

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{cpu, median, sample};

/// Which reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reader {
    /// `BaseConsumer` that counts messages: the price of the client alone.
    Null,
    /// The pure core on one thread: read, apply, count.
    Core,
    /// The whole live group as it is served: readers, actors, guardians, hub.
    Engine,
}

/// `consume`
#[derive(Debug, Args)]
pub struct Consume {
    /// Broker, host:port; topics bench.events.<size> are made and filled there once.
    #[arg(long)]
    brokers: String,
    /// Sizes of the transcript updates in bytes.
    #[arg(long, value_delimiter = ',', default_values_t = [sample::SIZES[0], sample::SIZES[1]])]
    sizes: Vec<usize>,
    /// Calls in each topic; each has ten events.
    #[arg(long, default_value_t = 50_000)]
    calls: usize,
    /// Rounds over all readers; the median of each is shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// `read-topic`: the process under test.
#[derive(Debug, Args)]
pub struct ReadTopic {
    /// Which reader.
    #[arg(value_enum)]
    reader: Reader,
    /// Broker, host:port.
    #[arg(long)]
    brokers: String,
    /// Topic to read from its beginning to its end.
    #[arg(long)]
    topic: String,
}

/// What a reader says when it is done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// Records read.
    pub events: u64,
    /// CPU time from the first record on, in milliseconds.
    pub cpu_ms: u64,
    /// Calls offered by the figures; `None` if the reader makes none.
    pub offered: Option<u64>,
}

impl ReadTopic {
    /// Reads and prints [`Done`] as JSON.
    pub async fn run(self) -> Result<()> {
        let done = match self.reader {
            Reader::Null => null::read(&self.brokers, &self.topic)?,
            Reader::Core => core::run(&self.brokers, &self.topic)?,
            Reader::Engine => engine::run(&self.brokers, &self.topic).await?,
        };
        println!("{}", serde_json::to_string(&done)?);
        Ok(())
    }
}

impl Consume {
    /// Fills what is not filled, runs all rounds and prints a table.
    pub async fn run(self) -> Result<()> {
        println!("{}", cpu::machine());
        println!(
            "events per CPU second from Kafka, median of {} rounds; share of null in brackets",
            self.rounds
        );
        let readers = Reader::value_variants();
        for size in &self.sizes {
            let topic = format!("bench.events.{size}.{}", self.calls);
            fill::fill(&self.brokers, &topic, self.calls, *size).await?;
            let mut rates: Vec<Vec<f64>> = vec![Vec::new(); readers.len()];
            for _ in 0..self.rounds {
                for (reader, rates) in readers.iter().zip(&mut rates) {
                    rates.push(self.stretch(*reader, &topic)?);
                }
            }
            let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
            let shown = readers
                .iter()
                .zip(&medians)
                .map(|(reader, rate)| format!("{reader:?} {:.0} k ({:.2})", rate / 1e3, rate / medians[0]));
            println!("{size:>6} B: {}", shown.collect::<Vec<_>>().join("   "));
        }
        println!("load after: {}", cpu::machine());
        Ok(())
    }

    fn stretch(&self, reader: Reader, topic: &str) -> Result<f64> {
        let name = reader.to_possible_value().expect("no reader is hidden").get_name().to_owned();
        let program = std::env::current_exe().context("find own program")?;
        let output = Command::new(program)
            .args(["read-topic", &name, "--brokers", &self.brokers, "--topic", topic])
            .output()?;
        ensure!(
            output.status.success(),
            "{reader:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let done: Done = serde_json::from_slice(&output.stdout).context("read what the reader said")?;
        // A wrong answer voids the figure.
        let expected = (self.calls * fill::EVENTS_PER_CALL) as u64;
        ensure!(done.events == expected, "{reader:?} read {} events of {expected}", done.events);
        if let Some(offered) = done.offered {
            ensure!(offered == self.calls as u64, "{reader:?} counted {offered} calls of {}", self.calls);
        }
        Ok(done.events as f64 * 1e3 / done.cpu_ms as f64)
    }
}
