//! `trunkline user create` and `trunkline key create`: who may come in.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;
use trunkline_core::access::{Permission, Role};
use trunkline_core::audit::By;
use trunkline_stores::postgres::config::second_factor::Whom;
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
    /// Take somebody's second factor away, when the telephone and all recovery codes are lost. They sign in with their password and set a
    /// new one up.
    ResetSecondFactor {
        /// The address they sign in with.
        #[arg(long)]
        email: String,
    },
    /// Say who of an organisation has to have a second factor.
    RequireSecondFactor {
        /// Organisation.
        #[arg(long)]
        organisation: String,
        /// nobody, admins (owners and admins, as new organisations have it) or everybody.
        #[arg(long)]
        of: Whom,
    },
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
    let person = match action {
        UserAction::Create(person) => person,
        UserAction::ResetSecondFactor { email } => return reset_second_factor(context, email),
        UserAction::RequireSecondFactor { organisation, of } => return require_second_factor(context, organisation, of),
    };
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

fn reset_second_factor(context: Context, email: String) -> anyhow::Result<ExitCode> {
    within(context, async |config| {
        let user = config.user_by_email(&email).await?.context("there is no user with this address")?;
        config
            .end_second_factor(user.tenant, &By::operator(), user.id)
            .await
            .context("this user has no second factor")
    })
}

fn require_second_factor(context: Context, organisation: String, of: Whom) -> anyhow::Result<ExitCode> {
    within(context, async |config| {
        let all = config.organisations().await?;
        let found = all.into_iter().find(|known| known.name == organisation);
        let tenant = found.context("there is no organisation of this name")?.id;
        Ok(config.require_second_factor(tenant, &By::operator(), of).await?)
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
