//! The Kafka broker of a run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::time::Instant;

use super::small_disk::SmallDisk;
use crate::chaos::process::Blow;
use crate::child::free_address;

/// So long a broker may take to end by itself.
const END_WAIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// A broker that could not write ends by itself, this long after there is room again at the latest.
const GIVES_UP_WITHIN: Duration = Duration::from_secs(2);

/// A broker that is started by a script and found again by its process.
pub(super) struct Broker {
    script: PathBuf,
    directory: PathBuf,
    pub(super) port: u16,
    controller_port: u16,
    pid: Pid,
    disk: Option<SmallDisk>,
}

impl Broker {
    /// `disk_mib`: on a disk of its own of that size.
    pub(super) async fn start(script: &Path, directory: &Path, disk_mib: Option<u32>) -> Result<Broker> {
        let directory = directory.join("kafka");
        let disk = match disk_mib {
            Some(mib) => Some(SmallDisk::make(&directory, mib).await?),
            None => None,
        };
        let mut broker = Broker {
            script: script.to_owned(),
            directory,
            port: free_address().port(),
            controller_port: free_address().port(),
            pid: Pid::INIT,
            disk,
        };
        broker.again().await?;
        Ok(broker)
    }

    /// Runs the script, which returns once the broker takes clients.
    async fn again(&mut self) -> Result<()> {
        let output = Command::new(&self.script)
            .arg(&self.directory)
            .args([self.port.to_string(), self.controller_port.to_string()])
            .output()
            .await
            .with_context(|| format!("run {}", self.script.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let pid = said.trim().parse().ok().and_then(Pid::from_raw);
        self.pid = pid.with_context(|| format!("no broker: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(())
    }

    /// Ends it, and waits until it writes nothing more into its directory.
    pub(super) async fn end(&self) {
        for signal in [Signal::TERM, Signal::KILL] {
            self.signal(signal);
            let begun = Instant::now();
            while self.is_running() && begun.elapsed() < END_WAIT {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// One that ended and has no parent that asks for it is still listed, as dead.
    fn is_running(&self) -> bool {
        let place = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        let state = std::fs::read_to_string(place).ok();
        let state = state.as_deref().and_then(|stat| stat.rsplit(')').next());
        state.is_some_and(|state| !state.trim_start().starts_with('Z'))
    }

    fn signal(&self, signal: Signal) {
        // Gone already is as good.
        let _ = kill_process(self.pid, signal);
    }

    pub(super) fn has_small_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Has its disk full for so long, and starts it again if that ended it.
    pub(super) async fn fill(&mut self, lasting: Duration) -> Result<()> {
        let disk = self.disk.as_ref().context("the broker's disk is not small")?;
        disk.fill(lasting).await?;
        tokio::time::sleep(GIVES_UP_WITHIN).await;
        if self.is_running() {
            return Ok(());
        }
        self.again().await
    }

    pub(super) async fn suffer(&mut self, blow: Blow, lasting: Duration) -> Result<()> {
        if blow == Blow::Freeze {
            self.signal(Signal::STOP);
            tokio::time::sleep(lasting).await;
            self.signal(Signal::CONT);
            return Ok(());
        }
        self.signal(Signal::KILL);
        tokio::time::sleep(lasting).await;
        self.again().await
    }
}
