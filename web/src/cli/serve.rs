//! `trunkline serve`: the product until it is asked to stop.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::Context;
use crate::{shutdown, startup, telemetry};

/// Runs until SIGTERM or SIGINT.
pub fn serve(context: Context) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, true);
    runtime()?.block_on(async {
        let drain = Duration::from_secs(context.settings.server.drain_seconds);
        let product = startup::start(context.settings).await?;
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
