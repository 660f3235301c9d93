//! `trunkline user ...` and `trunkline key ...`: who may come in.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;
use trunkline_core::access::{Permission, Role};
use trunkline_core::audit::By;
use trunkline_core::id::{KeyId, TenantId};
use trunkline_stores::postgres::config::second_factor::Whom;
use trunkline_stores::postgres::row::{NewUser, PersonState, Span};
use trunkline_stores::postgres::{Config, PostgresError, migrate};

use super::{Context, serve};
use crate::identity::key;
use crate::identity::password::Passwords;
use crate::identity::password_rules::{self, About};
use crate::identity::session::now;
use crate::startup::secrets::open_config;
use crate::startup::stores::{Postgres, Whose as Owner};
use crate::telemetry;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Make a user; the password is read from stdin.
    Create(NewPerson),
    /// List the users of an organisation.
    List(Whose),
    /// Stop a user from signing in, and end all sessions; --enable lets them in again.
    Disable(Disable),
    /// Give a user another password, read from stdin, and end all sessions.
    ResetPassword(Somebody),
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
    /// List the API keys of an organisation.
    List(Whose),
    /// Stop accepting an API key.
    Revoke(Revoke),
}

/// Whose things.
#[derive(Debug, Args)]
pub struct Whose {
    /// Organisation.
    #[arg(long)]
    organisation: String,
}

/// One user.
#[derive(Debug, Args)]
pub struct Somebody {
    /// The address they sign in with.
    #[arg(long)]
    email: String,
}

/// A user to stop.
#[derive(Debug, Args)]
pub struct Disable {
    #[command(flatten)]
    somebody: Somebody,
    /// Let them in again instead.
    #[arg(long)]
    enable: bool,
}

/// A key to stop.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Organisation.
    #[arg(long)]
    organisation: String,
    /// Its id, as the list shows it.
    id: KeyId,
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

/// Entries that are read from the database at once.
const AT_ONCE: u32 = 100;

/// `trunkline user ...`
pub fn user(context: Context, action: UserAction) -> anyhow::Result<ExitCode> {
    match action {
        UserAction::Create(person) => create_user(context, person),
        UserAction::List(whose) => list_users(context, whose),
        UserAction::Disable(disable) => disable_user(context, disable),
        UserAction::ResetPassword(somebody) => reset_password(context, somebody),
        UserAction::ResetSecondFactor { email } => reset_second_factor(context, email),
        UserAction::RequireSecondFactor { organisation, of } => require_second_factor(context, organisation, of),
    }
}

/// `trunkline key ...`
pub fn key(context: Context, action: KeyAction) -> anyhow::Result<ExitCode> {
    match action {
        KeyAction::Create(new) => create_key(context, new),
        KeyAction::List(whose) => list_keys(context, whose),
        KeyAction::Revoke(revoke) => within(context, async |config| {
            let tenant = organisation(&config, &revoke.organisation).await?;
            let revoked = config.revoke_api_key(tenant, &By::operator(), revoke.id).await;
            revoked.map_err(|error| match error {
                PostgresError::Missing { .. } => anyhow::anyhow!("{}: no such key, or revoked before", revoke.id),
                other => other.into(),
            })
        }),
    }
}

fn create_user(context: Context, person: NewPerson) -> anyhow::Result<ExitCode> {
    let password = password_from_stdin()?;
    let as_json = context.json;
    within(context, async |config| {
        check_password(&password, &person.email, &person.name, &person.organisation)?;
        let password_hash = Passwords::new(1)?.hash(&password).await?;
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

fn require_second_factor(context: Context, name: String, of: Whom) -> anyhow::Result<ExitCode> {
    within(context, async |config| {
        let tenant = organisation(&config, &name).await?;
        Ok(config.require_second_factor(tenant, &By::operator(), of).await?)
    })
}

fn list_users(context: Context, whose: Whose) -> anyhow::Result<ExitCode> {
    let as_json = context.json;
    within(context, async |config| {
        let tenant = organisation(&config, &whose.organisation).await?;
        let mut span = Span::first(AT_ONCE);
        loop {
            let found = config.users(tenant, span).await?;
            for user in found.iter().take(AT_ONCE as usize) {
                let (id, state) = (user.id.to_string(), &user.state);
                let role = state.role.map_or("-", Role::as_str);
                match as_json {
                    true => println!(
                        "{}",
                        json!({ "id": id, "email": user.email, "name": user.name, "role": state.role, "businesses": state.grants.len(),
                            "disabled": state.disabled })
                    ),
                    false => println!(
                        "{id}  {role:<10}  {:<8}  {}",
                        if state.disabled { "disabled" } else { "" },
                        user.email
                    ),
                }
            }
            let Some(last) = found.get(AT_ONCE as usize - 1).filter(|_| found.len() > AT_ONCE as usize) else {
                return Ok(());
            };
            span.after = Some(last.id.0);
        }
    })
}

fn disable_user(context: Context, disable: Disable) -> anyhow::Result<ExitCode> {
    within(context, async |config| {
        let email = &disable.somebody.email;
        let user = config
            .user_by_email(email)
            .await?
            .with_context(|| format!("{email}: no such user"))?;
        let listed = config.user(user.tenant, user.id).await?;
        let before = listed.with_context(|| format!("{email}: no such user"))?.state;
        let after = PersonState {
            disabled: !disable.enable,
            ..before.clone()
        };
        Ok(config.change_person(user.tenant, &By::operator(), user.id, &before, &after).await?)
    })
}

fn reset_password(context: Context, somebody: Somebody) -> anyhow::Result<ExitCode> {
    let password = password_from_stdin()?;
    within(context, async |config| {
        let email = &somebody.email;
        let user = config
            .user_by_email(email)
            .await?
            .with_context(|| format!("{email}: no such user"))?;
        let organisation = config.organisation_name(user.tenant).await?;
        check_password(&password, &user.email, &user.name, &organisation)?;
        let hash = Passwords::new(1)?.hash(&password).await?;
        Ok(config.set_password(user.tenant, &By::operator(), user.id, &hash, None).await?)
    })
}

fn create_key(context: Context, new: NewKey) -> anyhow::Result<ExitCode> {
    let (as_json, environment) = (context.json, context.settings.server.environment);
    within(context, async |config| {
        let tenant = config.ensure_organisation(&new.organisation).await?;
        let wanted = key::Wanted {
            environment,
            ..key::Wanted::everywhere(&new.name, new.scopes.iter().copied().collect())
        };
        let (id, text) = key::create(&config, tenant, &By::operator(), wanted).await?;
        match as_json {
            true => println!("{}", json!({ "id": id.to_string(), "key": text })),
            false => println!("{text}"),
        }
        Ok(())
    })
}

fn list_keys(context: Context, whose: Whose) -> anyhow::Result<ExitCode> {
    let (as_json, environment) = (context.json, context.settings.server.environment);
    within(context, async |config| {
        let tenant = organisation(&config, &whose.organisation).await?;
        let mut span = Span::first(AT_ONCE);
        loop {
            let found = config.api_keys(tenant, span).await?;
            for listed in found.iter().take(AT_ONCE as usize) {
                let (id, accepted) = (listed.id.to_string(), listed.holds(now()));
                match as_json {
                    true => println!(
                        "{}",
                        json!({ "id": id, "name": listed.name, "last_four": listed.last_four, "scopes": listed.scopes, "accepted": accepted })
                    ),
                    false => println!(
                        "{id}  {}...{}  {:<8}  {}",
                        key::prefix(environment),
                        listed.last_four,
                        if accepted { "" } else { "ended" },
                        listed.name
                    ),
                }
            }
            let Some(last) = found.get(AT_ONCE as usize - 1).filter(|_| found.len() > AT_ONCE as usize) else {
                return Ok(());
            };
            span.after = Some(last.id.0);
        }
    })
}

/// An organisation that is there: a list of a misspelt one must not make it.
pub(super) async fn organisation(config: &Config, name: &str) -> anyhow::Result<TenantId> {
    let all = config.organisations().await?;
    let found = all.into_iter().find(|organisation| organisation.name == name);
    found
        .map(|organisation| organisation.id)
        .with_context(|| format!("{name}: no such organisation"))
}

pub(super) fn check_password(password: &SecretString, email: &str, name: &str, organisation: &str) -> anyhow::Result<()> {
    let about = About { email, name, organisation };
    password_rules::refusal(password, &about).map_or(Ok(()), |weak| Err(weak.into()))
}

/// Runs `work` with the configuration, beside a running product or without one.
pub(super) fn within(context: Context, work: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    serve::runtime()?.block_on(async {
        let postgres = Postgres::open(&context.settings, Owner::Any).await?;
        let result = async {
            migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
            work(open_config(&context.settings, &postgres).await?).await
        }
        .await;
        postgres.close().await;
        result.map(|()| ExitCode::SUCCESS)
    })
}

pub(super) fn password_from_stdin() -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        eprintln!("type the password and Enter, then Ctrl+D (it is shown):");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("read the password from stdin")?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}
