//! `trunkline migrate`: brings the schemas up to date without starting the product.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use trunkline_stores::log::take;
use trunkline_stores::postgres::{Database, migrate};

use super::{Context, serve};
use crate::startup::stores::{ClickHouse, Postgres, Whose, open_any_log};
use crate::telemetry;

/// What else to do.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Take the event log that the settings lead to as this installation's, although it was another one so far.
    #[arg(long)]
    take_log: bool,
}

/// Applies what is missing in Postgres and ClickHouse, and says what that was.
pub fn run(context: Context, args: &Migrate) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Whose::Any).await?;
        let done = in_postgres(&context, args, &postgres).await;
        postgres.close().await;
        let steps = done?;
        let clickhouse = ClickHouse::open(&context.settings).await?;
        let migrated = clickhouse
            .analytics
            .migrate()
            .await
            .context("bring the ClickHouse schema up to date");
        clickhouse.close().await;
        let migrated = migrated?;
        if context.json {
            println!("{}", json!({ "postgres": steps, "clickhouse": migrated.applied }));
            return Ok(ExitCode::SUCCESS);
        }
        let said = |applied: &[String]| {
            if applied.is_empty() {
                "up to date".to_owned()
            } else {
                applied.join(", ")
            }
        };
        println!("Postgres    {}", said(&steps));
        println!(
            "ClickHouse  {}",
            said(&migrated.applied.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>())
        );
        Ok(ExitCode::SUCCESS)
    })
}

async fn in_postgres(context: &Context, args: &Migrate, postgres: &Postgres) -> anyhow::Result<Vec<String>> {
    let steps = migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
    if args.take_log {
        let database = Database::connect(&postgres.options).await.context("connect to Postgres")?;
        let log = open_any_log(&context.settings, &database).await.context("open the event log")?;
        let before = take(&database, log.identity()).await.context("take the event log")?;
        eprintln!("event log   {} (before: {before})", log.identity());
        log.close().await;
    }
    Ok(steps)
}
