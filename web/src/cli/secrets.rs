//! `trunkline secrets`: master keys, and the encryption of everything under the newest one.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::json;
use trunkline_stores::keyring::{add_key, new_key};
use trunkline_stores::postgres::migrate;

use super::{CHECK_FAILED, Context, serve};
use crate::startup::secrets::{key_file, open_config};
use crate::startup::stores::{Postgres, Whose};
use crate::telemetry;

/// What to do with master keys.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print a new master key: a line for the file of secrets.key_file.
    NewKey,
    /// Encrypt every stored secret under the first key of the file; can be repeated, also beside a running product. Exit 3 when
    /// something could not be read.
    Rotate {
        /// Put a new key at the top of the file first.
        #[arg(long)]
        new_key: bool,
    },
}

/// `trunkline secrets ...`
pub fn run(context: Context, action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::NewKey => {
            let key = new_key();
            match context.json {
                true => println!("{}", json!({ "key": key.expose_secret() })),
                false => println!("{}", key.expose_secret()),
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Rotate { new_key } => {
            telemetry::start_logs(&context.settings.telemetry, false);
            serve::runtime()?.block_on(async {
                let postgres = Postgres::open(&context.settings, Whose::Any).await?;
                let done = rotate(&context, &postgres, new_key).await;
                postgres.close().await;
                done
            })
        }
    }
}

async fn rotate(context: &Context, postgres: &Postgres, new_key: bool) -> anyhow::Result<ExitCode> {
    migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
    // Opened first, so that nothing is changed where the keys do not fit.
    let config = open_config(&context.settings, postgres).await?;
    let file = key_file(&context.settings, postgres)?;
    let config = match new_key {
        true => {
            add_key(&file)?;
            open_config(&context.settings, postgres).await?
        }
        false => config,
    };
    let done = config.rotate_secrets().await.context("encrypt stored secrets anew")?;
    let newest = config.keyring().newest();
    if context.json {
        println!(
            "{}",
            json!({ "key": newest.to_string(), "rows": done.rows, "secrets": done.secrets, "unreadable": done.unreadable })
        );
    } else {
        println!("{} rows with {} secrets are now under master key {newest}", done.rows, done.secrets);
        for row in &done.unreadable {
            println!("unreadable  {row}");
        }
        if done.unreadable.is_empty() {
            println!(
                "The lines below the first one of {} are needed for older backups of the database only. Processes that run with a copy \
                 of the file need its new first line before older ones go.",
                file.display()
            );
        }
    }
    Ok(if done.unreadable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(CHECK_FAILED)
    })
}
