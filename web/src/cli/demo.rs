//! `trunkline demo`: the product with a call centre made up for it, and the simulator that plays Retell.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;
use tokio::sync::{Mutex, watch};
use trunkline_connectors::simulator::Recent;

use super::{Context, serve, simulate};
use crate::startup::roles::EVERY_ROLE;
use crate::{demo, shutdown, startup, telemetry};

/// The past that a new data directory begins with.
const HISTORY: Duration = Duration::from_secs(2 * 3_600);

/// What to play.
#[derive(Debug, Args)]
pub struct Demo {
    /// New conversations a second.
    #[arg(long, default_value_t = 0.4, value_name = "CALLS")]
    rate: f64,
    /// How much past to play first, so that boards and the call log are not empty: 90s, 15m, 6h. Left out: two hours when the data
    /// directory is new, nothing when it is not.
    #[arg(long, value_parser = simulate::span)]
    history: Option<Duration>,
    /// Same seed, same calls. Left out: 1 when the data directory is new, another one when it is not, since the same calls again would
    /// be repeats of what has ended, and nothing would be in progress.
    #[arg(long)]
    seed: Option<u64>,
    /// Start without the simulator.
    #[arg(long)]
    quiet_line: bool,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(context: Context, args: Demo) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !context.settings.server.tls.is_set() && !context.settings.intake.tls.is_set(),
        "the demo's own simulator speaks plain HTTP; leave server.tls and intake.tls out, or use trunkline serve"
    );
    telemetry::start_logs(&context.settings.telemetry, false);
    let data = context.settings.data.directory.clone();
    serve::runtime()?.block_on(async {
        eprintln!("starting; the first start takes a little longer");
        let recent = match args.quiet_line {
            true => Recent::default(),
            false => Recent::awaited(),
        };
        let recent = Arc::new(Mutex::new(recent));
        let mut settings = context.settings;
        settings.retell.api_url = demo::stand_in(Arc::clone(&recent))?;
        if !args.quiet_line {
            settings.retell.ask_after_minutes = settings.retell.ask_after_minutes.min(demo::ASK_AFTER_MINUTES);
            settings.retell.reconcile_every_seconds = settings.retell.reconcile_every_seconds.min(demo::RECONCILE_EVERY_SECONDS);
            settings.retell.requests_per_second = demo::REQUESTS_PER_SECOND;
        }
        let retell = settings.retell.api_url.clone();
        let environment = settings.server.environment;
        let product = startup::start(settings, &EVERY_ROLE).await?;
        let (Some(state), Some(site), Some(intake), Some(senders)) = (&product.state, product.site, product.intake, &product.senders)
        else {
            anyhow::bail!("a demo has every role");
        };
        let passwords = state.passwords.clone();
        let again = demo::is_made(&data);
        let hash = async |password: String| {
            passwords
                .hash(&SecretString::from(password))
                .await
                .context("hash the demo's password")
        };
        let made = demo::prepare(&product.config, (&data, environment), hash)
            .await
            .context("make the demo's call centre")?;
        let intake = format!("http://{intake}");
        senders.refresh(&product.config).await.context("read the demo's workspace")?;
        let (stop, stopped) = watch::channel(false);
        let player = match args.quiet_line {
            true => None,
            false => {
                let (history, seed) = match again {
                    false => (HISTORY, 1),
                    true => (Duration::ZERO, rand::random()),
                };
                let (history, seed) = (args.history.unwrap_or(history), args.seed.unwrap_or(seed));
                let sender = demo::sender(&made, &intake, args.rate, history, seed)?;
                Some(tokio::spawn(sender.remembering_in(recent).run(stopped)))
            }
        };
        println!("Trunkline is running.\n");
        println!("  address    http://{site}");
        println!("  e-mail     {}", made.email);
        println!("  password   {}", made.password);
        println!("  API key    {}", made.api_key);
        println!("  webhooks   {intake}/v1/retell/{}", made.token);
        println!("  Retell     {retell} (its API as the simulator plays it)");
        println!("  health     http://{}/readyz", product.admin);
        println!("\nCtrl+C stops it.");
        shutdown::requested().await.context("listen for signals")?;
        let _ = stop.send(true);
        if let Some(player) = player {
            // What it has begun to send it may finish; our own stop has its own deadline.
            let _ = tokio::time::timeout(Duration::from_secs(5), player).await;
        }
        product.stop(Duration::ZERO).await;
        Ok(ExitCode::SUCCESS)
    })
}
