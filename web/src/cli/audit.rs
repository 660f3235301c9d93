//! `trunkline audit`: folds the whole event log with the pure core and compares it with ClickHouse and the usage ledger.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;
use trunkline_actors::audit::{Audited, Report, audit};
use trunkline_stores::postgres::effects::Effects;
use trunkline_stores::postgres::migrate;

use super::{CHECK_FAILED, Context, serve};
use crate::startup::secrets::open_config;
use crate::startup::stores::{ClickHouse, Postgres, Whose, open_log};
use crate::telemetry;

/// What to compare.
#[derive(Debug, Args)]
pub struct Audit {
    /// Leave ClickHouse out: the embedded engine belongs to one process, so beside a running product only the ledger can be compared.
    #[arg(long)]
    without_clickhouse: bool,
}

/// A full pass; exit 3 on a difference.
pub fn run(context: Context, args: Audit) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    let report = serve::runtime()?.block_on(compare(&context, &args))?;
    if context.json {
        println!("{}", serde_json::to_string(&report).context("write the report")?);
    } else {
        print(&report);
    }
    Ok(if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(CHECK_FAILED)
    })
}

async fn compare(context: &Context, args: &Audit) -> anyhow::Result<Report> {
    let settings = &context.settings;
    let postgres = Postgres::open(settings, Whose::Any).await?;
    let result = async {
        migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
        let config = open_config(settings, &postgres).await?;
        let database = config.database().clone();
        let log = open_log(settings, &database).await.context("open the event log")?;
        let tasks = CancellationToken::new();
        let directory = config.watch(tasks.clone()).await.context("read the configuration")?;
        let clickhouse = match args.without_clickhouse {
            true => None,
            false => Some(ClickHouse::open(settings).await.context(
                "open ClickHouse; beside a running product with the embedded engine use --without-clickhouse, or stop the product first",
            )?),
        };
        let audited = Audited {
            log: log.clone(),
            log_name: log.identity().to_owned(),
            facts: clickhouse.as_ref().map(|clickhouse| clickhouse.analytics.clone()),
            ledger: Effects::new(database, log.identity()),
            directory: directory.borrow().clone(),
        };
        let report = audit(&audited).await.context("compare the stores with the log");
        if let Some(clickhouse) = clickhouse {
            clickhouse.close().await;
        }
        tasks.cancel();
        log.close().await;
        report
    }
    .await;
    postgres.close().await;
    result
}

fn print(report: &Report) {
    println!("{} records of the log make {} calls and chats", report.records, report.calls);
    for note in &report.notes {
        println!("note  {note}");
    }
    if report.differences.is_empty() {
        println!("no difference");
        return;
    }
    println!(
        "{:<7} {:>9}  {:<44} {:<18} {:>22} {:>22}",
        "store", "partition", "range", "what", "log says", "found"
    );
    for found in &report.differences {
        println!(
            "{:<7} {:>9}  {:<44} {:<18} {:>22} {:>22}",
            found.store, found.partition, found.range, found.what, found.expected, found.found
        );
    }
}
