//! `trunkline tokens`: the keys that sign access tokens of the API.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use trunkline_stores::postgres::migrate;

use super::{Context, serve};
use crate::identity::access_token::turn;
use crate::identity::session::now;
use crate::startup::secrets::open_config;
use crate::startup::stores::{Postgres, Whose};
use crate::telemetry;

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make the key that signs from now on, in ten minutes, when everybody has it; what the one before signed is taken until it expires.
    /// Can be done beside a running product.
    Rotate {
        /// Sign with it at once and refuse within seconds what was signed before: for a key that may be in other hands.
        #[arg(long)]
        at_once: bool,
    },
}

/// `trunkline tokens ...`
pub fn run(context: Context, action: Action) -> anyhow::Result<ExitCode> {
    let Action::Rotate { at_once } = action;
    telemetry::start_logs(&context.settings.telemetry, false);
    serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Whose::Any).await?;
        let done = rotate(&context, &postgres, at_once).await;
        postgres.close().await;
        done
    })
}

async fn rotate(context: &Context, postgres: &Postgres, at_once: bool) -> anyhow::Result<ExitCode> {
    migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
    let config = open_config(&context.settings, postgres).await?;
    let turn = turn(at_once, now(), context.settings.tokens.access_ms());
    config.add_token_key(now(), &turn).await.context("add a key")?;
    let keys = config.token_keys(now()).await.context("read the keys")?;
    let newest = keys.first().context("no key is in force")?;
    tracing::info!(target: "audit", event = "key.rotate", key = %newest.id, at_once, "a new key for access tokens, by hand");
    match context.json {
        true => println!(
            "{}",
            json!({ "key": newest.id.to_string(), "signs_from_ms": newest.signs_from.0, "accepted": keys.len() })
        ),
        false => println!("key {} follows; {} keys are accepted", newest.id, keys.len()),
    }
    Ok(ExitCode::SUCCESS)
}
