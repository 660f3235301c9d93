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

/// The runtime of stores and start-up; listeners and actors have own threads.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
}
