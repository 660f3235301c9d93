//! `trunkline platform ...`: who runs the platform. Said at the command line only: no page and no API makes anybody one.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use trunkline_core::audit::By;
use trunkline_stores::postgres::Config;
use trunkline_stores::postgres::row::{NewUser, Span, UserListed};

use super::Context;
use super::people::{check_password, password_from_stdin, within};
use crate::identity::password::Passwords;

/// People that are read from the database at once; more do not run a platform.
const AT_ONCE: u32 = 1_000;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Super-admins: they make, limit and suspend organisations, and see none of their calls.
    Admin {
        #[command(subcommand)]
        action: AdminAction,
    },
}

/// What to do with super-admins.
#[derive(Debug, Subcommand)]
pub enum AdminAction {
    /// Make one; the password is read from stdin. They set up a second factor when they sign in first, and cannot go on without.
    Add(NewAdmin),
    /// List them.
    List,
    /// Remove one, and end all of their sessions.
    Remove {
        /// The address they sign in with.
        email: String,
    },
}

/// Somebody who is to run the platform.
#[derive(Debug, Args)]
pub struct NewAdmin {
    /// The address they sign in with; it must not be one of an organisation's people.
    email: String,
    /// Name as shown, also to organisations whose data they open.
    #[arg(long)]
    name: String,
}

/// `trunkline platform ...`
pub fn run(context: Context, action: Action) -> anyhow::Result<ExitCode> {
    let Action::Admin { action } = action;
    match action {
        AdminAction::Add(new) => add(context, new),
        AdminAction::List => list(context),
        AdminAction::Remove { email } => within(context, async |config| {
            let person = found(&config, &email).await?;
            let platform = config.platform().await?.context("nobody runs the platform yet")?;
            Ok(config.remove_person(platform, &By::operator(), person.id, &person.state).await?)
        }),
    }
}

fn add(context: Context, new: NewAdmin) -> anyhow::Result<ExitCode> {
    let password = password_from_stdin()?;
    let as_json = context.json;
    within(context, async |config| {
        check_password(&password, &new.email, &new.name, "Trunkline")?;
        let user = NewUser {
            email: new.email.clone(),
            name: new.name.clone(),
            role: None,
            grants: Vec::new(),
            password_hash: Passwords::new(1)?.hash(&password).await?,
        };
        let id = config.create_platform_admin(&By::operator(), &user).await?;
        match as_json {
            true => println!("{}", json!({ "id": id.to_string() })),
            false => println!("{id}"),
        }
        Ok(())
    })
}

fn list(context: Context) -> anyhow::Result<ExitCode> {
    let as_json = context.json;
    within(context, async |config| {
        for person in all(&config).await? {
            let id = person.id.to_string();
            match as_json {
                true => println!(
                    "{}",
                    json!({ "id": id, "email": person.email, "name": person.name, "disabled": person.state.disabled })
                ),
                false => println!("{id}  {:<8}  {}", if person.state.disabled { "disabled" } else { "" }, person.email),
            }
        }
        Ok(())
    })
}

async fn found(config: &Config, email: &str) -> anyhow::Result<UserListed> {
    let wanted = email.trim().to_lowercase();
    let found = all(config).await?.into_iter().find(|person| person.email == wanted);
    found.with_context(|| format!("{email}: nobody of this address runs the platform"))
}

async fn all(config: &Config) -> anyhow::Result<Vec<UserListed>> {
    match config.platform().await? {
        Some(platform) => Ok(config.users(platform, Span::first(AT_ONCE)).await?),
        None => Ok(Vec::new()),
    }
}
