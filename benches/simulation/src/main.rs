//! Runs seeds and says what is wrong, and how many there were a second.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use trunkline_simulation::process::quieten_planned_panics;
use trunkline_simulation::run::run;

/// Runs the product over simulated stores, clock and chance: one seed, one run.
#[derive(Parser)]
struct Arguments {
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    quieten_planned_panics();
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
