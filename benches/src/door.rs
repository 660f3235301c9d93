//! Accepted requests per CPU second: our intake beside a bare handler and a naive one, interleaved in one run.

pub mod bare;
pub mod naive;
pub mod no_log;
pub mod ours;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use trunkline_stores::log::kafka::KafkaLog;

use crate::child::Server;
use crate::{cpu, load, median, sample, topic};

/// Distinct calls in the prepared requests: enough to spread over all partitions.
const CALLS: usize = 512;

/// Topic of our intake.
const TOPIC: &str = "bench.door.ours";

/// A server is warm after this.
const WARM: Duration = Duration::from_secs(1);

/// Which handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Handler {
    /// actix-web reads the body and answers 204: the price of HTTP alone.
    Bare,
    /// What one writes first: serde_json, HMAC, one future per message of rdkafka's `FutureProducer`.
    Naive,
    /// Our intake on a log that acknowledges at once: what it costs before anything is stored.
    OursNoLog,
    /// Our intake as it is served, acknowledged by Kafka.
    Ours,
}

/// `door`
#[derive(Debug, Args)]
pub struct Door {
    /// Broker, host:port; topics bench.door.naive and bench.door.ours are made there. Without it only handlers that need none run.
    #[arg(long)]
    brokers: Option<String>,
    /// A property of our producer, name=value, to see what another setting would do; several with commas.
    #[arg(long, value_delimiter = ',')]
    producer: Vec<String>,
    /// Body sizes in bytes.
    #[arg(long, value_delimiter = ',', default_values_t = sample::SIZES)]
    sizes: Vec<usize>,
    /// Connections kept busy.
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Seconds of each measured stretch.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rounds over all handlers; the median of each is shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// `serve-door`: the process under test.
#[derive(Debug, Args)]
pub struct ServeDoor {
    /// Which handler.
    #[arg(value_enum)]
    handler: Handler,
    /// Broker, host:port.
    #[arg(long, default_value = "")]
    brokers: String,
    /// Properties of our producer.
    #[arg(long)]
    producer: Vec<String>,
}

impl ServeDoor {
    /// Serves until killed.
    pub async fn run(self) -> Result<()> {
        match self.handler {
            Handler::Bare => bare::serve().await,
            Handler::Naive => naive::serve(&self.brokers).await,
            Handler::OursNoLog => ours::serve(Arc::new(no_log::NoLog::default())).await,
            Handler::Ours => {
                let mut options = topic::options(&self.brokers, TOPIC);
                for property in &self.producer {
                    let (name, value) = property.split_once('=').context("--producer is name=value")?;
                    options.properties.insert(name.to_owned(), value.to_owned());
                }
                ours::serve(Arc::new(KafkaLog::open(options).await?)).await
            }
        }
    }
}

impl Door {
    /// Runs all rounds and prints a table.
    pub async fn run(self) -> Result<()> {
        println!("{}", cpu::machine());
        println!(
            "accepted requests per CPU second, {} connections, median of {} rounds; share of bare in brackets",
            self.connections, self.rounds
        );
        let mut handlers = vec![Handler::Bare, Handler::OursNoLog];
        if self.brokers.is_some() {
            handlers.extend([Handler::Naive, Handler::Ours]);
        }
        for size in &self.sizes {
            let requests: Arc<Vec<Bytes>> = Arc::new(
                (0..CALLS)
                    .map(|call| sample::request("/v1/retell/bench", &sample::updated(call, 0, *size)))
                    .collect(),
            );
            let mut rates: Vec<Vec<f64>> = vec![Vec::new(); handlers.len()];
            for _ in 0..self.rounds {
                for (handler, rates) in handlers.iter().zip(&mut rates) {
                    rates.push(self.stretch(*handler, &requests).await?);
                }
            }
            let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
            let shown: Vec<String> = handlers
                .iter()
                .zip(&medians)
                .map(|(handler, rate)| format!("{handler:?} {:.1} k ({:.2})", rate / 1_000.0, rate / medians[0]))
                .collect();
            println!("{size:>6} B: {}", shown.join("   "));
        }
        println!("load after: {}", cpu::machine());
        Ok(())
    }

    async fn stretch(&self, handler: Handler, requests: &Arc<Vec<Bytes>>) -> Result<f64> {
        let name = handler.to_possible_value().expect("no handler is hidden").get_name().to_owned();
        let brokers = self.brokers.clone().unwrap_or_default();
        let mut arguments = vec!["serve-door".into(), name, "--brokers".into(), brokers];
        arguments.extend(self.producer.iter().map(|property| format!("--producer={property}")));
        let server = Server::start(&arguments)?;
        load::closed_loop(server.address, requests.clone(), self.connections, WARM).await?;
        let before = cpu::used(server.pid())?;
        let outcome = load::closed_loop(
            server.address,
            requests.clone(),
            self.connections,
            Duration::from_secs(self.seconds),
        )
        .await?;
        let used = cpu::used(server.pid())?.saturating_sub(before);
        // A wrong answer voids the figure.
        ensure!(
            outcome.refused == 0,
            "{handler:?} refused {} of {} requests",
            outcome.refused,
            outcome.refused + outcome.accepted
        );
        Ok(outcome.accepted as f64 / used.as_secs_f64())
    }
}
