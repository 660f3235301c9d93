//! `trunkline user create` and `trunkline key create`: who may come in.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;
use trunkline_core::access::{Permission, Role};
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::NewUser;
use trunkline_stores::postgres::{Config, migrate};

use super::{Context, serve};
use crate::identity::key;
use crate::identity::password::Passwords;
use crate::startup::secrets::open_config;
use crate::startup::stores::{Postgres, Whose};
use crate::telemetry;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Make a user; the password is read from stdin.
    Create(NewPerson),
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// Make an API key and print it; it is shown this once.
    Create(NewKey),
}

/// A user to make.
#[derive(Debug, Args)]
pub struct NewPerson {
    /// The address they sign in with.
    #[arg(long)]
    email: String,
    /// Name as shown.
    #[arg(long)]
    name: String,
    /// owner, admin, supervisor, analyst or viewer.
    #[arg(long, default_value = "viewer")]
    role: Role,
    /// Organisation, made when it is new.
    #[arg(long)]
    organisation: String,
}

/// A key to make.
#[derive(Debug, Args)]
pub struct NewKey {
    /// What it is for.
    #[arg(long)]
    name: String,
    /// Organisation, made when it is new.
    #[arg(long)]
    organisation: String,
    /// What it may do, for example live:read, calls:read, numbers:read, usage:read, operate:read; may be repeated.
    #[arg(long = "scope", default_values = ["live:read", "calls:read"])]
    scopes: Vec<Permission>,
}

/// `trunkline user ...`
pub fn user(context: Context, action: UserAction) -> anyhow::Result<ExitCode> {
    let UserAction::Create(person) = action;
    let password = password_from_stdin()?;
    let as_json = context.json;
    within(context, async |config| {
        let passwords = Passwords::new(1)?;
        let password_hash = passwords.hash(&password).await?;
        let tenant = config.ensure_organisation(&person.organisation).await?;
        let new = NewUser {
            email: person.email.clone(),
            name: person.name.clone(),
            role: Some(person.role),
            grants: Vec::new(),
            password_hash,
        };
        let id = config.create_user(tenant, &By::operator(), &new).await?;
        match as_json {
            true => println!("{}", json!({ "id": id.to_string(), "organisation": tenant.to_string() })),
            false => println!("{id}"),
        }
        Ok(())
    })
}

/// `trunkline key ...`
pub fn key(context: Context, action: KeyAction) -> anyhow::Result<ExitCode> {
    let KeyAction::Create(new) = action;
    let as_json = context.json;
    within(context, async |config| {
        let tenant = config.ensure_organisation(&new.organisation).await?;
        let wanted = key::Wanted::everywhere(&new.name, new.scopes.iter().copied().collect());
        let (id, text) = key::create(&config, tenant, &By::operator(), wanted).await?;
        match as_json {
            true => println!("{}", json!({ "id": id.to_string(), "key": text })),
            false => println!("{text}"),
        }
        Ok(())
    })
}

/// Runs `work` with the configuration, beside a running product or without one.
fn within(context: Context, work: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Whose::Any).await?;
        let result = async {
            migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
            work(open_config(&context.settings, &postgres).await?).await
        }
        .await;
        postgres.close().await;
        result.map(|()| ExitCode::SUCCESS)
    })
}

fn password_from_stdin() -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        eprintln!("type the password and Enter, then Ctrl+D (it is shown):");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("read the password from stdin")?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}
