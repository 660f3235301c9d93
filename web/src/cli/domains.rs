//! `trunkline domain ...`: mail domains of single sign-on, for whoever runs the installation and knows whose they are without asking DNS.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use trunkline_core::audit::By;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::single_sign_on::Proof;

use super::Context;
use super::people::{organisation, within};
use crate::configure::mail_domains::{record_name, record_value};
use crate::identity::session::now;

/// What to do with mail domains.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the mail domains of an organisation, with the record that would prove each.
    List {
        /// Organisation.
        #[arg(long)]
        organisation: String,
    },
    /// Say that a domain is the organisation's: without a record in its DNS.
    Prove(Which),
    /// Take a proof back, so that addresses of the domain lead nowhere; another organisation may prove it then.
    Withdraw(Which),
}

/// A domain that an organisation has named for its single sign-on.
#[derive(Debug, Args)]
pub struct Which {
    /// Organisation.
    #[arg(long)]
    organisation: String,
    /// Domain, for example example.com.
    domain: String,
}

/// `trunkline domain ...`
pub fn run(context: Context, action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::List { organisation } => list(context, organisation),
        Action::Prove(which) => within(context, async |config| {
            let tenant = organisation(&config, &which.organisation).await?;
            let domain = which.domain.trim().to_lowercase();
            let proved = config.prove_domain(tenant, &By::operator(), &domain, now(), Proof::Operator).await;
            proved.map_err(|error| match error {
                PostgresError::Missing { .. } => anyhow::anyhow!("{domain}: this organisation has not named it, or it is proved already"),
                PostgresError::Taken { .. } => {
                    anyhow::anyhow!("{domain}: another organisation has it proved; withdraw it there first")
                }
                other => other.into(),
            })
        }),
        Action::Withdraw(which) => within(context, async |config| {
            let tenant = organisation(&config, &which.organisation).await?;
            let domain = which.domain.trim().to_lowercase();
            let withdrawn = config.withdraw_domain(tenant, &By::operator(), &domain).await;
            withdrawn.map_err(|error| match error {
                PostgresError::Missing { .. } => anyhow::anyhow!("{domain}: this organisation has not proved it"),
                other => other.into(),
            })
        }),
    }
}

fn list(context: Context, name: String) -> anyhow::Result<ExitCode> {
    let as_json = context.json;
    within(context, async |config| {
        let tenant = organisation(&config, &name).await?;
        for of in config.mail_domains(tenant).await? {
            let by = of.proved.map_or("waits", |(_, proof)| proof.as_str());
            let (record, value) = (record_name(&of), record_value(&of));
            match as_json {
                true => println!(
                    "{}",
                    json!({ "domain": of.domain, "proved": of.proved.is_some(), "by": by, "record_name": record, "record_value": value })
                ),
                false => println!("{:<30}  {by:<8}  {record} TXT \"{value}\"", of.domain),
            }
        }
        Ok(())
    })
}
