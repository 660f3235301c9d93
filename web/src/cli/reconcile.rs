//! `trunkline reconcile`: compares what was heard with Retell's own list of calls once, fills in what is missing, and prints what it found.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use trunkline_actors::reconciler::{self, Found, Ground, Passed};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::reconciler::Turn;
use trunkline_stores::postgres::{WorkspaceEntry, effects, migrate};

use super::{CHECK_FAILED, Context, serve};
use crate::api::form::moment;
use crate::startup::secrets::open_config;
use crate::startup::stores::{Postgres, Whose, open_log};
use crate::{startup, telemetry};

/// How long a pass of the running product is waited for.
const TURN_WAIT: Duration = Duration::from_secs(120);
/// How often its end is looked for.
const TURN_LOOK: Duration = Duration::from_millis(500);

/// What to compare.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Name or id of a workspace; all that have an API key when left out.
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// Compare calls that ended from this moment on, such as 2026-11-22T14:00:00Z; from where the last pass ended when left out.
    #[arg(long, value_name = "MOMENT")]
    since: Option<Timestamp>,
}

/// One workspace with its pass.
#[derive(Debug, Serialize)]
struct Compared {
    workspace: String,
    name: String,
    #[serde(flatten)]
    passed: Option<Passed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A pass over each; exit 3 when something is not healed. The usage ledger must be kept meanwhile: run it beside a running product.
pub fn run(context: Context, args: Reconcile) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    let compared = serve::runtime()?.block_on(compare(&context, &args))?;
    if context.json {
        println!("{}", serde_json::to_string(&compared).context("write what was found")?);
    } else {
        compared.iter().for_each(print);
    }
    let problem = |found: &Found| found.problem.is_some();
    let healed = compared
        .iter()
        .all(|of| of.error.is_none() && !of.passed.iter().flat_map(|passed| &passed.found).any(problem));
    Ok(if healed { ExitCode::SUCCESS } else { ExitCode::from(CHECK_FAILED) })
}

async fn compare(context: &Context, args: &Reconcile) -> anyhow::Result<Vec<Compared>> {
    let settings = &context.settings;
    let postgres = Postgres::open(settings, Whose::Any).await?;
    let result = async {
        migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
        let config = open_config(settings, &postgres).await?;
        let database = config.database().clone();
        let log = open_log(settings, &database).await.context("open the event log")?;
        let tasks = CancellationToken::new();
        let ground = Ground {
            directory: config.clone().watch(tasks.clone()).await.context("read the configuration")?,
            config,
            ledger: effects::Effects::new(database, log.identity()),
            log: log.clone(),
            options: startup::reconciler_options(settings),
        };
        let mut compared = Vec::new();
        for entry in wanted(&ground, args.workspace.as_deref())? {
            let passed = once(&ground, &entry, args.since).await;
            let (passed, error) = match passed {
                Ok(passed) => (Some(passed), None),
                Err(error) => (None, Some(format!("{error:#}"))),
            };
            compared.push(Compared {
                workspace: entry.workspace.to_string(),
                name: entry.name.clone(),
                passed,
                error,
            });
        }
        tasks.cancel();
        log.close().await;
        Ok(compared)
    }
    .await;
    postgres.close().await;
    result
}

/// Workspaces with a key, or the one that is named.
fn wanted(ground: &Ground, name: Option<&str>) -> anyhow::Result<Vec<Arc<WorkspaceEntry>>> {
    let directory = ground.directory.borrow().clone();
    let mut entries: Vec<Arc<WorkspaceEntry>> = directory.by_token.values().filter(|entry| entry.enabled).cloned().collect();
    entries.sort_by(|a, b| (&a.name, a.workspace).cmp(&(&b.name, b.workspace)));
    if let Some(name) = name {
        entries.retain(|entry| entry.name == name || entry.workspace.to_string() == name);
        anyhow::ensure!(!entries.is_empty(), "there is no open workspace \"{name}\"");
        anyhow::ensure!(
            entries.iter().all(|entry| entry.api_key.is_some()),
            "workspace \"{name}\" has no API key to ask Retell with; set one first"
        );
    }
    entries.retain(|entry| entry.api_key.is_some());
    anyhow::ensure!(!entries.is_empty(), "no workspace has an API key to ask Retell with; set one first");
    Ok(entries)
}

async fn once(ground: &Ground, entry: &WorkspaceEntry, since: Option<Timestamp>) -> anyhow::Result<Passed> {
    let turn = turn(ground, entry).await?;
    let known = ground.config.reconciled(entry.tenant, Some(entry.workspace)).await?;
    let mut progress = known.into_iter().next().map(|(_, progress)| progress).unwrap_or_default();
    let client = reconciler::client(ground, entry)?;
    let since = since.map(|since| Millis(since.as_millisecond()));
    reconciler::pass(ground, entry, &client, &turn, &mut progress, since)
        .await
        .context("compare with Retell's list")
}

/// The running product compares now and then; its pass is waited for.
async fn turn(ground: &Ground, entry: &WorkspaceEntry) -> anyhow::Result<Turn> {
    let taken = tokio::time::timeout(TURN_WAIT, async {
        loop {
            if let Some(turn) = ground.config.reconciler_turn(entry.workspace).await? {
                return anyhow::Ok(turn);
            }
            tokio::time::sleep(TURN_LOOK).await;
        }
    });
    taken
        .await
        .context("another process has been comparing this workspace for long; try again later")?
}

fn print(compared: &Compared) {
    println!("{} ({})", compared.name, compared.workspace);
    if let Some(error) = &compared.error {
        println!("  failed: {error}");
    }
    let Some(passed) = &compared.passed else { return };
    let shown = |at: Millis| moment(at).unwrap_or_default();
    println!(
        "  calls that ended from {} to {}: {} listed",
        shown(passed.from),
        shown(passed.to),
        passed.listed
    );
    for found in &passed.found {
        let done = match &found.problem {
            Some(problem) => format!("NOT healed: {problem}"),
            None => format!("filled in: {}", found.filled.join(", ")),
        };
        println!("  {:<16} {:<34} {done}", found.difference.as_str(), found.call_id);
    }
    let open = passed.found.iter().filter(|found| found.problem.is_some()).count();
    println!("  {} found, {} healed", passed.found.len(), passed.found.len() - open);
}
