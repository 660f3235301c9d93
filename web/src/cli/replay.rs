//! `trunkline replay`: shows records of the event log, or has them written to ClickHouse once more.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use trunkline_core::instant::Millis;
use trunkline_core::record::Record;
use trunkline_stores::log::{Delivery, EventLog, LogRecord};
use trunkline_stores::postgres::{Database, migrate};

use super::{Context, serve};
use crate::api::form::moment;
use crate::startup::stores::{Postgres, Whose, open_log};
use crate::telemetry;

/// Group whose rows are written anew.
const FACTS: &str = trunkline_actors::facts::GROUP;

/// Records read at once.
const BATCH: usize = 500;

/// A running product holds its partitions; after this wait it is taken to be running.
const ASSIGN_WAIT: Duration = Duration::from_secs(20);

/// What to do with records.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print records, one JSON object a line; without bodies, which hold personal data, unless asked for.
    Show(Show),
    /// Have ClickHouse's rows written again from a place on; the product must be stopped, and does it at its next start.
    Facts(Facts),
}

/// Which records to print.
#[derive(Debug, Args)]
pub struct Show {
    /// Partition; all of them when left out.
    #[arg(long)]
    partition: Option<u32>,
    #[command(flatten)]
    from: From,
    /// Records at most.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Only those that could not be read.
    #[arg(long)]
    set_aside: bool,
    /// With bodies.
    #[arg(long)]
    bodies: bool,
}

/// From where to write again.
#[derive(Debug, Args)]
pub struct Facts {
    /// Partition; all of them when left out.
    #[arg(long)]
    partition: Option<u32>,
    #[command(flatten)]
    from: From,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// A place in the log.
#[derive(Debug, Clone, Args)]
struct From {
    /// First offset; the beginning when left out.
    #[arg(long, conflicts_with = "since")]
    from: Option<i64>,
    /// First moment, such as 2026-11-22T14:00:00Z.
    #[arg(long)]
    since: Option<Timestamp>,
}

/// `trunkline replay ...`
pub fn run(context: Context, action: Action) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Whose::Any).await?;
        let result = async {
            migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
            let database = Database::connect(&postgres.options).await.context("connect to Postgres")?;
            let log = open_log(&context.settings, &database).await.context("open the event log")?;
            let done = match action {
                Action::Show(show) => print(&log, &show).await,
                Action::Facts(facts) => again(&log, &facts, context.json).await,
            };
            log.close().await;
            done
        }
        .await;
        postgres.close().await;
        result
    })
}

async fn print(log: &Arc<dyn EventLog>, show: &Show) -> anyhow::Result<ExitCode> {
    let mut left = show.limit;
    for (partition, mut next) in starts(log, show.partition, &show.from).await? {
        let (_, end) = log.span(partition).await?;
        while left > 0 && next < end {
            let records = log.read(partition, next, BATCH).await.context("read the event log")?;
            let Some(last) = records.last() else { break };
            next = last.position.offset + 1;
            for record in &records {
                let Some(line) = line(record, show) else { continue };
                println!("{line}");
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One record as shown; `None` when it is not wanted.
fn line(stored: &LogRecord, show: &Show) -> Option<serde_json::Value> {
    let place = json!({ "partition": stored.position.partition, "offset": stored.position.offset });
    let record = match Record::decode(&stored.bytes) {
        Ok(record) => record,
        Err(error) => return Some(json!({ "position": place, "damaged": error.to_string(), "bytes": stored.bytes.len() })),
    };
    if show.set_aside && record.header.set_aside.is_none() {
        return None;
    }
    let header = record.header;
    let mut line = json!({
        "position": place, "received_at": moment(header.received_at), "organisation": header.tenant.to_string(),
        "workspace": header.workspace.to_string(), "event": header.event, "source": header.source, "set_aside": header.set_aside,
        "masked": header.masked, "bytes": record.body.len(),
    });
    if show.bodies {
        line["key"] = header.key.into();
        line["body"] = String::from_utf8_lossy(&record.body).into();
    }
    Some(line)
}

async fn again(log: &Arc<dyn EventLog>, facts: &Facts, as_json: bool) -> anyhow::Result<ExitCode> {
    let starts: BTreeMap<u32, i64> = starts(log, facts.partition, &facts.from).await?.into_iter().collect();
    let mut records = 0;
    for (partition, from) in &starts {
        records += (log.span(*partition).await?.1 - from).max(0);
    }
    match as_json {
        true => println!("{}", json!({ "partitions": starts, "records": records, "done": !facts.dry_run })),
        false => println!("{records} records in {} partitions are written to ClickHouse again", starts.len()),
    }
    if facts.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(facts.yes || confirmed()?, "not confirmed; nothing was changed");
    let mut wanted = starts;
    let mut subscription = log.subscribe(FACTS).await.context("join the facts group")?;
    let moved = tokio::time::timeout(ASSIGN_WAIT, async {
        while !wanted.is_empty() {
            if let Delivery::Assigned { partition, .. } = subscription.next().await?
                && let Some(from) = wanted.remove(&partition)
            {
                subscription.commit(partition, from).await?;
            }
        }
        anyhow::Ok(())
    })
    .await;
    subscription.close().await;
    moved.context("the facts group is busy: stop the product first, then try again")??;
    Ok(ExitCode::SUCCESS)
}

/// Partition and offset to begin at, never before what is still there.
async fn starts(log: &Arc<dyn EventLog>, partition: Option<u32>, from: &From) -> anyhow::Result<Vec<(u32, i64)>> {
    let count = log.partitions();
    let partitions = match partition {
        Some(partition) if partition >= count => anyhow::bail!("the log has partitions 0 to {}", count - 1),
        Some(partition) => partition..partition + 1,
        None => 0..count,
    };
    let mut starts = Vec::new();
    for partition in partitions {
        let (first, _) = log.span(partition).await.context("ask the event log for its span")?;
        let wanted = match (from.from, from.since) {
            (Some(offset), _) => offset,
            (None, Some(since)) => log.offset_at(partition, Millis(since.as_millisecond())).await?,
            (None, None) => first,
        };
        starts.push((partition, wanted.max(first)));
    }
    Ok(starts)
}

fn confirmed() -> anyhow::Result<bool> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "add --yes to do this without being asked");
    eprint!("Go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
