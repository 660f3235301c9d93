//! Runs seeds and says what is wrong, and how many there were a second.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use trunkline_simulation::hunt::{Hunted, hunt};
use trunkline_simulation::plant::{self, Bug};
use trunkline_simulation::process::quieten_planned_panics;
use trunkline_simulation::run::run;

/// Runs the product over simulated stores, clock and chance: one seed, one run.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// End after so many seconds, however many seeds that were.
    #[arg(long)]
    seconds: Option<u64>,
    /// Runs at the same time, each on a thread of its own.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Print what happens in each run; with one thread.
    #[arg(long)]
    trace: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Copy the sources to a directory and plant every bug of `planted/` in the copy.
    Plant {
        /// Where to.
        to: PathBuf,
    },
    /// Look for the planted bugs; for a program that was built from such a copy.
    Hunt {
        /// Only these.
        names: Vec<String>,
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Bugs at the same time.
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    quieten_planned_panics();
    match &arguments.command {
        None => Ok(run_seeds(&arguments)),
        Some(Command::Plant { to }) => {
            println!("{} bugs are planted in {}", plant::plant(to)?, to.display());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Hunt { names, from, threads }) => look_for_bugs(names, *from, *threads),
    }
}

/// Looks for planted bugs and says which were found; a failure when one was not.
fn look_for_bugs(names: &[String], from: u64, threads: usize) -> anyhow::Result<ExitCode> {
    // Bugs make the product panic; that is found like anything else.
    std::panic::set_hook(Box::new(|_| {}));
    let mut bugs = plant::bugs()?;
    bugs.retain(|bug| names.is_empty() || names.contains(&bug.name));
    anyhow::ensure!(!bugs.is_empty(), "there is no such bug");
    let began = Instant::now();
    let tell = |bug: &Bug, hunted: &Hunted| match hunted.found_at {
        Some(seeds) => println!("{:36} found at seed {seeds:4} of {:4} by {}", bug.name, bug.seeds, hunted.broken),
        None => println!("{:36} NOT FOUND within {} seeds: {}", bug.name, bug.seeds, bug.what),
    };
    let hunted = hunt(&bugs, from, threads, tell).context("no bugs are planted here; run benches/simulation/find-planted")?;
    let missed = hunted.iter().filter(|hunted| hunted.found_at.is_none()).count();
    println!(
        "{} planted bugs, {missed} not found, in {:.0} s",
        hunted.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs seeds and says what is wrong.
fn run_seeds(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let (next, end) = (AtomicU64::new(arguments.from), arguments.from + arguments.seeds);
    let (done, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let is_over = || arguments.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || is_over() {
                        return;
                    }
                    let outcome = run(seed, arguments.trace && arguments.threads <= 1);
                    done.fetch_add(1, Ordering::Relaxed);
                    if arguments.trace {
                        println!("seed {seed}, hash {:016x}, {:?}", outcome.hash, outcome.counts);
                    }
                    if !outcome.found.is_empty() {
                        println!(
                            "seed {seed} (see it with --from {seed} --seeds 1 --trace):\n  {}",
                            outcome.found.join("\n  ")
                        );
                        failed.lock().unwrap_or_else(|broken| broken.into_inner()).push(seed);
                    }
                }
            });
        }
    });
    let (done, took) = (done.into_inner(), began.elapsed().as_secs_f64());
    let failed = failed.into_inner().unwrap_or_else(|broken| broken.into_inner());
    println!(
        "{done} seeds in {took:.1} s, {:.1} a second; {} failed: {failed:?}",
        done as f64 / took,
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
