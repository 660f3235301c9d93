//! Log lines and metrics: set up once, before anything else speaks.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::settings::{LogFormat, Telemetry};
use crate::state::BUILD;

/// Buckets for durations: intake answers within 5 s, pages within fractions of a second.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Buckets for sizes of batches.
const ROWS: &[f64] = &[1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// Samples of histograms are kept one by one until somebody folds them into buckets; without this, only a scrape would.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// Starts log output; answers go to stdout, so logs of one-off commands go to stderr.
pub fn start_logs(telemetry: &Telemetry, to_stdout: bool) {
    let filter = EnvFilter::try_new(&telemetry.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match telemetry.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => {
            !if to_stdout {
                std::io::stdout().is_terminal()
            } else {
                std::io::stderr().is_terminal()
            }
        }
    };
    let colour = !json && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let writer = Sampled {
        to_stdout,
        lines_per_second: telemetry.lines_per_second.into(),
        started: Instant::now(),
        now: AtomicU64::new(0),
    };
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour);
    // A second start (tests) keeps the first.
    let _ = if json {
        base.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        base.compact().try_init()
    };
}

/// Log lines that were left out since this was told last.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Writes at most so many lines a second (S-140), and errors always.
struct Sampled {
    to_stdout: bool,
    lines_per_second: u64,
    started: Instant,
    /// The present second in the upper half, its lines in the lower one.
    now: AtomicU64,
}

impl Sampled {
    fn writer(&self) -> Box<dyn io::Write> {
        if self.to_stdout {
            Box::new(io::stdout())
        } else {
            Box::new(io::stderr())
        }
    }

    /// Counts a line; false when it is one too many.
    fn has_room(&self) -> bool {
        let second = self.started.elapsed().as_secs() << 32;
        let count = |now: u64| Some(if now >> 32 == second >> 32 { now + 1 } else { second + 1 });
        let before = self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).unwrap_or(second);
        before >> 32 != second >> 32 || (before & u64::from(u32::MAX)) < self.lines_per_second
    }
}

impl<'a> MakeWriter<'a> for Sampled {
    type Writer = Box<dyn io::Write>;

    fn make_writer(&'a self) -> Self::Writer {
        self.writer()
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Self::Writer {
        if *line.level() == Level::ERROR || self.has_room() {
            return self.writer();
        }
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        Box::new(io::sink())
    }
}

/// Starts metrics; the handle renders them for the admin port.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), ROWS)?
        .build_recorder();
    let handle = recorder.handle();
    // Tests start several products in one process; the first recorder serves all.
    let _ = metrics::set_global_recorder(recorder);
    metrics::gauge!("trunkline_build_info", "version" => BUILD.version, "commit" => BUILD.commit).set(1.0);
    Ok(handle)
}

/// Folds samples regularly, so that memory does not grow with events when nobody scrapes, and tells of log lines that were left out.
pub async fn keep_metrics_small(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(FOLD_EVERY).await;
        metrics.run_upkeep();
        let left_out = LEFT_OUT.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            metrics::counter!("trunkline_log_lines_left_out_total").increment(left_out);
            tracing::error!(
                event = "log.sampled",
                left_out,
                "more log lines than telemetry.lines_per_second; these were left out"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s140_a_second_has_so_many_lines_and_the_next_one_begins_anew() {
        let mut sampled = Sampled {
            to_stdout: true,
            lines_per_second: 3,
            started: Instant::now(),
            now: AtomicU64::new(0),
        };
        // Two runs, for a second may turn in between.
        let written = |sampled: &Sampled| (0..1_000).filter(|_| sampled.has_room()).count();
        assert!((3..=6).contains(&written(&sampled)));
        sampled.started -= Duration::from_secs(5);
        assert!((3..=6).contains(&written(&sampled)));
    }
}
