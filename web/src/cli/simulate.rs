//! `trunkline simulate`: plays Retell against an intake address, and counts what was acknowledged.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::watch;
use trunkline_connectors::simulator::{ATTEMPTS, Disorder, Mix, Sender, SenderOptions, StandIn, Tally, World};
use trunkline_core::signature::SigningKey;

use crate::simulated_retell::{self, Behaviour};

const EXAMPLES: &str = "Examples:
  trunkline simulate --url http://127.0.0.1:8080/v1/retell/TOKEN --key-file key.txt --rate 5
  trunkline simulate --url ... --key-file - --history 6h --history-only --events 100000 --duplicates 0.1 --reordered 0.1 --json";

/// What to play.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Simulate {
    /// Intake address with its token.
    #[arg(long)]
    url: String,
    /// File that holds the signing key; `-` reads it from stdin.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// New conversations per second, on average.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Begin this far in the past and catch up as fast as the receiver takes it (30m, 6h).
    #[arg(long, default_value = "0s", value_parser = span)]
    history: Duration,
    /// End when the present is reached.
    #[arg(long)]
    history_only: bool,
    /// Plan no further conversations after this many.
    #[arg(long)]
    calls: Option<u64>,
    /// Plan no further conversations once this many events are sent or waiting.
    #[arg(long)]
    events: Option<u64>,
    /// Seed: the same seed plays the same conversations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests under way at most.
    #[arg(long, default_value_t = 256)]
    in_flight: usize,
    /// Tries per event in all, half a second apart; Retell makes 4.
    #[arg(long, default_value_t = ATTEMPTS)]
    attempts: u32,
    /// Leave out transcript_updated, as Retell does unless it is switched on.
    #[arg(long)]
    without_transcripts: bool,
    /// Share of events delivered twice.
    #[arg(long, default_value_t = 0.0)]
    duplicates: f64,
    /// Share of events that later ones overtake.
    #[arg(long, default_value_t = 0.0)]
    reordered: f64,
    /// Share of calls whose end comes 30 to 120 s late.
    #[arg(long, default_value_t = 0.0)]
    late_ends: f64,
    /// Share of calls whose end never comes.
    #[arg(long, default_value_t = 0.0)]
    missing_ends: f64,
    /// Share of voice calls of which nothing is ever sent; with --api the reconciler finds them.
    #[arg(long, default_value_t = 0.0)]
    unheard: f64,
    /// Also serve Retell's get-call, list-calls, get-agent and list-agents for these conversations at this loopback address.
    #[arg(long, value_name = "ADDRESS")]
    api: Option<std::net::SocketAddr>,
    /// Of 100 requests to that API so many are answered 429.
    #[arg(long, default_value_t = 0, requires = "api", value_name = "PERCENT")]
    api_busy: u32,
}

/// Reads `90s`, `30m` or `6h`.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a span of time; write it like 90s, 30m or 6h");
    // The last character, which need not be one byte.
    let last = text.char_indices().last().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(last);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Plays until the limits are reached or Ctrl+C; prints the count.
pub fn run(args: Simulate, json: bool) -> anyhow::Result<ExitCode> {
    let key = read_key(&args.key_file)?;
    actix_web::rt::System::new().block_on(async move {
        let api = args.api;
        let sender = Sender::new(
            Arc::new(World::new()),
            SenderOptions {
                url: args.url,
                key,
                calls_per_second: args.rate,
                history: args.history,
                calls_limit: args.calls,
                events_limit: args.events,
                history_only: args.history_only,
                seed: args.seed,
                in_flight: args.in_flight.max(1),
                attempts: args.attempts.max(1),
                without_transcripts: args.without_transcripts,
                mix: Mix::default(),
                disorder: Disorder {
                    duplicates: args.duplicates,
                    reordered: args.reordered,
                    late_ends: args.late_ends,
                    missing_ends: args.missing_ends,
                    unheard: args.unheard,
                },
            },
        )?;
        if let Some(address) = api {
            let behaviour = Arc::new(Behaviour::default());
            behaviour.be_busy(args.api_busy);
            let served = simulated_retell::serve(StandIn::new(Arc::new(World::new()), sender.recent()), behaviour, address)
                .with_context(|| format!("serve the stand-in for Retell's API at {address}"))?;
            eprintln!("Retell's API is played at http://{served}");
        }
        let (stop, stopped) = watch::channel(false);
        let counter = sender.counter();
        let show = std::io::stderr().is_terminal() && !json;
        actix_web::rt::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            let _ = stop.send(true);
        });
        let progress = actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if show {
                    let tally = counter.lock().await.tally();
                    eprint!(
                        "\r{} requests, {} acknowledged, {} in progress ",
                        tally.requests, tally.accepted_requests, tally.calls_in_progress
                    );
                }
            }
        });
        let tally = sender.run(stopped).await;
        progress.abort();
        if show {
            eprintln!();
        }
        print(&tally, json)?;
        // An event that nobody acknowledged is what a load test has to notice.
        Ok(if tally.given_up == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

fn read_key(path: &std::path::Path) -> anyhow::Result<SigningKey> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .read_to_string(&mut text)
            .context("read the signing key from stdin")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("read the signing key from {}", path.display()))?;
    }
    let key = text.trim();
    anyhow::ensure!(!key.is_empty(), "the key file {} is empty", path.display());
    Ok(SigningKey::new(key))
}

fn print(tally: &Tally, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(tally)?);
        return Ok(());
    }
    println!(
        "requests        {:>8}   acknowledged {}, repeats among them {}",
        tally.requests, tally.accepted_requests, tally.repeats
    );
    println!(
        "given up        {:>8}   refused {:?}, withheld {}, delayed {}, calls never told {}",
        tally.given_up, tally.refused, tally.withheld, tally.delayed, tally.unheard_calls
    );
    println!("calls           {:>8}   {:?}", tally.calls, tally.calls_by_job);
    println!("chats           {:>8}", tally.chats);
    println!(
        "in progress     {:>8}   ended {}, connected {}",
        tally.calls_in_progress, tally.calls_ended, tally.calls_connected
    );
    println!(
        "analysed        {:>8}   successful {}, sentiment {:?}",
        tally.analysed, tally.successful, tally.sentiment
    );
    println!("transfers                  {:?}", tally.transfers);
    for (name, count) in &tally.events {
        println!("  {name:<22} {count}");
    }
    for (reason, count) in &tally.reasons {
        println!("  ended by {reason:<28} {count}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::span;
    use std::time::Duration;

    #[test]
    fn spans_are_read_and_nonsense_is_explained() {
        assert_eq!(span("6h"), Ok(Duration::from_secs(21_600)));
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "6", "h", "-1m", "1d", "é"] {
            assert!(span(wrong).is_err_and(|error| error.contains("6h")), "{wrong}");
        }
    }
}
