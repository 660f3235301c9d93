//! Plays Retell with `trunkline simulate` in a process of its own, and takes its count of what was acknowledged.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Place, Product};

/// The simulator's end is waited for no longer than this.
const OVER_WITHIN: Duration = Duration::from_secs(1_800);

/// A running simulator.
pub struct Simulated {
    child: Option<Child>,
    begun: Instant,
}

/// What was acknowledged, as the simulator counted it.
#[derive(Debug)]
pub struct Tally {
    /// All of its figures.
    pub counts: Value,
    /// How long it played.
    pub took: Duration,
}

impl Tally {
    /// A figure; those that never occurred are 0.
    pub fn of(&self, path: &str) -> u64 {
        let found = self.counts.pointer(&format!("/{}", path.replace('.', "/")));
        found.map_or(0, |value| value.as_u64().unwrap_or_else(|| panic!("{path} is {value}")))
    }

    /// Names with their figures.
    pub fn map(&self, name: &str) -> Vec<(String, u64)> {
        let map = self.counts[name].as_object().unwrap_or_else(|| panic!("no {name}"));
        map.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
    }

    /// Acknowledged requests per second.
    pub fn per_second(&self) -> f64 {
        self.of("accepted_requests") as f64 / self.took.as_secs_f64()
    }
}

/// A past of three hours with a tenth of the events twice and a tenth overtaken; a few calls whose end never comes stay in progress.
/// The rate is such that the events are used up before the present is reached: nothing ends in the future.
pub fn disorderly_past(events: u64) -> Vec<String> {
    let rate = events as f64 / 130_000.0;
    let text = format!(
        "--history 3h --history-only --events {events} --rate {rate} --duplicates 0.1 --reordered 0.1 --late-ends 0.02 --missing-ends 0.02"
    );
    text.split(' ').map(str::to_owned).collect()
}

impl Simulated {
    /// Begins to play against the product.
    pub fn start(place: &Place, product: &Product<'_>, options: &[String]) -> Simulated {
        let key = place.keep("signing-key", &product.signing_key);
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command
            .args(["simulate", "--json", "--url", &product.intake, "--key-file"])
            .arg(key);
        let child = command.args(options).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        Simulated {
            child: Some(child),
            begun: Instant::now(),
        }
    }

    /// Waits until it has sent everything. Events that it had to give up fail the test.
    pub async fn over(mut self) -> Tally {
        let begun = self.begun;
        let child = self.child.take().unwrap();
        let id = child.id();
        let wait = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let Ok(output) = tokio::time::timeout(OVER_WITHIN, wait).await else {
            let _ = Command::new("kill").arg(id.to_string()).status();
            panic!("the simulator did not end within {OVER_WITHIN:?}");
        };
        let output = output.unwrap();
        let took = begun.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "the simulator ended with {}: {text}", output.status);
        let counts: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        assert_eq!(counts["given_up"], 0, "{text}");
        Tally { counts, took }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
