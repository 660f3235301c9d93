//! Log lines and metrics: set up once, before anything else speaks.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

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
    let writer = move || -> Box<dyn std::io::Write> {
        if to_stdout {
            Box::new(std::io::stdout())
        } else {
            Box::new(std::io::stderr())
        }
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

/// Folds samples regularly, so that memory does not grow with events when nobody scrapes.
pub async fn keep_metrics_small(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(FOLD_EVERY).await;
        metrics.run_upkeep();
    }
}
