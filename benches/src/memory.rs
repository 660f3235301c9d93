//! Bytes that a live call takes beyond what was said, at a great number of live calls: the whole live group as it is served.

mod log;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use trunkline_actors::{Engine, EngineOptions};

use crate::directory::{TENANT, directory};
use crate::{cpu, sample};
use log::MadeLog;

/// How often it is asked whether all calls are there.
const LOOK: Duration = Duration::from_millis(100);

/// Longest time until they are.
const PATIENCE: Duration = Duration::from_secs(300);

/// Pulses that pass before memory is measured: what is kept for a second only is gone then.
const SETTLE: Duration = Duration::from_secs(3);

/// `memory`
#[derive(Debug, Args)]
pub struct Memory {
    /// Live calls.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
    /// Size of the last transcript update in bytes.
    #[arg(long, default_value_t = sample::SIZES[1])]
    size: usize,
}

impl Memory {
    /// Has the live group hold the calls and prints what they take.
    pub async fn run(self) -> Result<()> {
        println!("{}", cpu::machine());
        // An engine that holds a few calls pays for threads, tables and scratch memory, which are no call's.
        let few = Held::by(log::WINDOW * log::PARTITIONS, self.size).await?;
        few.engine.stop().await;
        let before = cpu::resident()?;
        let held = Held::by(self.calls, self.size).await?;
        let resident = cpu::resident()?.saturating_sub(before);
        let footprint = held.engine.live().footprint(TENANT);
        held.engine.stop().await;
        ensure!(footprint.calls == self.calls as u64, "{} calls are listed", footprint.calls);
        let each = |bytes: u64| bytes as f64 / self.calls as f64;
        let said = footprint.said_bytes;
        println!("{} live calls, last update {} B; bytes for each call", self.calls, self.size);
        println!("  resident, all of the live group  {:>8.0}", each(resident));
        println!("  of it said                       {:>8.0}", each(said));
        println!("  beyond what was said             {:>8.0}", each(resident.saturating_sub(said)));
        println!("  of it the call, by own count     {:>8.0}", each(footprint.bytes - said));
        Ok(())
    }
}

/// A running engine that holds calls.
struct Held {
    engine: Engine,
    _directory: watch::Sender<Arc<trunkline_stores::postgres::Directory>>,
}

impl Held {
    async fn by(calls: usize, size: usize) -> Result<Held> {
        let log = Arc::new(MadeLog::of(calls, size));
        let (_directory, watched) = watch::channel(Arc::new(directory()));
        let engine = Engine::start(log, watched, EngineOptions::default())?;
        let live = engine.live();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there: usize = live.partitions().iter().map(|partition| partition.calls).sum();
            if there == calls && !live.completeness_of_all().rebuilding {
                break;
            }
            ensure!(Instant::now() < deadline, "{there} of {calls} calls are there");
            sleep(LOOK).await;
        }
        sleep(SETTLE).await;
        Ok(Held { engine, _directory })
    }
}
