//! `trunkline audit`: folds the whole event log with the pure core and compares it with ClickHouse and the usage ledger;
//! `trunkline audit verify`: walks the record of who did what of every organisation.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use trunkline_actors::audit::{Audited, Report, audit};
use trunkline_stores::postgres::effects::Effects;
use trunkline_stores::postgres::migrate;

use super::{CHECK_FAILED, Context, serve};
use crate::startup::secrets::open_config;
use crate::startup::stores::{ClickHouse, Postgres, Whose, open_log};
use crate::telemetry;

/// What to look at.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Audit {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Walk the record of who did what of every organisation, entry by entry; exit 3 when one was changed, removed or put in between.
    Verify,
}

/// What to compare.
#[derive(Debug, Args)]
struct Compare {
    /// Leave ClickHouse out: the embedded engine belongs to one process, so beside a running product only the ledger can be compared.
    #[arg(long)]
    without_clickhouse: bool,
}

/// A full pass; exit 3 on a difference.
pub fn run(context: Context, args: Audit) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    if let Some(Action::Verify) = args.action {
        return verify(&context);
    }
    let report = serve::runtime()?.block_on(compare(&context, &args.compare))?;
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

/// What became of one organisation's chain.
#[derive(Debug, Serialize)]
struct Chain {
    organisation: String,
    name: String,
    /// Entries that hold; none when the chain does not.
    entries: Option<i64>,
    broken: Option<String>,
}

fn verify(context: &Context) -> anyhow::Result<ExitCode> {
    let chains = serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Whose::Any).await?;
        let walked = async {
            migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
            let config = open_config(&context.settings, &postgres).await?;
            let mut chains = Vec::new();
            for organisation in config.organisations().await.context("list organisations")? {
                let found = config.verify_deeds(organisation.id).await.context("walk a record")?;
                chains.push(Chain {
                    organisation: organisation.id.to_string(),
                    name: organisation.name,
                    entries: found.as_ref().ok().copied(),
                    broken: found.err().map(|broken| broken.to_string()),
                });
            }
            anyhow::Ok(chains)
        }
        .await;
        postgres.close().await;
        walked
    })?;
    let broken = chains.iter().any(|chain| chain.broken.is_some());
    if context.json {
        println!("{}", serde_json::to_string(&chains).context("write the report")?);
    } else {
        for chain in &chains {
            match (&chain.broken, chain.entries) {
                (Some(why), _) => println!("BROKEN  {}  {}: {why}", chain.organisation, chain.name),
                (None, entries) => println!(
                    "ok      {}  {}: {} entries",
                    chain.organisation,
                    chain.name,
                    entries.unwrap_or_default()
                ),
            }
        }
    }
    if broken {
        tracing::error!(target: "audit", event = "audit.tamper", "a record of deeds does not hold");
        return Ok(ExitCode::from(CHECK_FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

async fn compare(context: &Context, args: &Compare) -> anyhow::Result<Report> {
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
