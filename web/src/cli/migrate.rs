//! `trunkline migrate`: brings the schemas up to date without starting the product.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use trunkline_stores::postgres::migrate;

use super::{Context, serve};
use crate::startup::stores::{ClickHouse, Postgres, Whose};
use crate::telemetry;

/// Applies what is missing in Postgres and ClickHouse, and says what that was.
pub fn run(context: Context) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Whose::Any).await?;
        let steps = migrate(&postgres.options).await.context("bring the Postgres schema up to date");
        postgres.close().await;
        let steps = steps?;
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
