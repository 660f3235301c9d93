//! `trunkline serve`: the product until it is asked to stop.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::Context;
use crate::startup::roles::{EVERY_ROLE, ProcessRole};
use crate::{shutdown, startup, telemetry};

/// How to run it.
#[derive(Debug, Args)]
pub struct Serve {
    /// What this process does; several processes share the work when each names its roles. web needs live.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = EVERY_ROLE, env = "TRUNKLINE_ROLES")]
    roles: Vec<ProcessRole>,
}

/// Runs until SIGTERM or SIGINT.
pub fn serve(context: Context, args: &Serve) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, true);
    runtime()?.block_on(async {
        let drain = Duration::from_secs(context.settings.server.drain_seconds);
        let product = startup::start(context.settings, &args.roles).await?;
        shutdown::requested().await.context("listen for signals")?;
        tracing::info!("asked to stop");
        product.stop(drain).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// So long the runtime's threads may take to end.
const THREADS_WAIT: Duration = Duration::from_secs(1);

/// The runtime of stores and start-up; listeners and actors have own threads.
pub struct Threads(tokio::runtime::Runtime);

/// Starts it.
pub fn runtime() -> anyhow::Result<Threads> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map(Threads).context("start the runtime")
}

impl Threads {
    /// Does `work`, and ends the threads. One that still waits for a server is left behind: Kafka's client comes back from a commit only when it
    /// was answered, and a process that was asked to end would wait for that too.
    pub fn block_on<T>(self, work: impl Future<Output = T>) -> T {
        let done = self.0.block_on(work);
        self.0.shutdown_timeout(THREADS_WAIT);
        done
    }
}
