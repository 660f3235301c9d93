//! Mail domains of an organisation: whose they are is asked of their own DNS, before their addresses lead to a provider or count.

use futures::future::join_all;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::single_sign_on::{MailDomain, Proof, Seen};

use super::{refused, single_sign_on};
use crate::error::Problem;
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;

/// The name below the domain that a record may stand at, so that it disturbs nothing else.
const LABEL: &str = "_trunkline-challenge";

/// What a record begins with; the domain's token follows.
const BEGINS: &str = "trunkline-domain-verification=";

/// Where the record stands best. At the domain itself it counts as well.
pub fn record_name(of: &MailDomain) -> String {
    format!("{LABEL}.{}", of.domain)
}

/// What it says.
pub fn record_value(of: &MailDomain) -> String {
    format!("{BEGINS}{}", of.token)
}

/// The domains of the organisation.
pub async fn all(state: &AppState, caller: &Caller) -> Result<Vec<MailDomain>, Problem> {
    let found = state.config.mail_domains(caller.tenant).await;
    found.map_err(|error| refused("read mail domains", error))
}

/// Looks at the DNS of every domain that waits, and notes what is there. A proof that was given stays, also when its record is gone by now.
pub async fn check(state: &AppState, caller: &Caller) -> Result<Vec<MailDomain>, Problem> {
    single_sign_on::find(state, caller).await?.ok_or_else(Problem::not_found)?;
    let waiting: Vec<MailDomain> = all(state, caller).await?.into_iter().filter(|of| of.proved.is_none()).collect();
    let seen = join_all(waiting.iter().map(|of| look(state, of))).await;
    for (of, seen) in waiting.iter().zip(seen) {
        let noted = match seen {
            Seen::Record => prove(state, caller, of).await,
            other => state.config.look_at_domain(caller.tenant, &of.domain, now(), other).await,
        };
        match noted {
            // Taken away meanwhile, or proved by another look.
            Ok(()) | Err(PostgresError::Missing { .. }) => {}
            Err(error) => return Err(refused("note a look at a domain", error)),
        }
    }
    all(state, caller).await
}

async fn prove(state: &AppState, caller: &Caller, of: &MailDomain) -> Result<(), PostgresError> {
    let proved = state
        .config
        .prove_domain(caller.tenant, &caller.by(), &of.domain, now(), Proof::Dns)
        .await;
    match proved {
        Err(PostgresError::Taken { .. }) => state.config.look_at_domain(caller.tenant, &of.domain, now(), Seen::Taken).await,
        other => other,
    }
}

/// What stands in the DNS of a domain, at both names.
async fn look(state: &AppState, of: &MailDomain) -> Seen {
    let wanted = record_value(of);
    let (below, itself) = (record_name(of), of.domain.clone());
    let mut seen = Seen::Nothing;
    for name in [below, itself] {
        match state.dns.texts(&name).await {
            Ok(texts) if texts.iter().any(|text| text.trim() == wanted) => return Seen::Record,
            // Of other records only those are told that were meant for us.
            Ok(texts) if texts.iter().any(|text| text.trim().starts_with(BEGINS)) => seen = Seen::Other,
            Ok(_) => {}
            Err(error) => {
                tracing::info!(%error, "DNS said nothing of a mail domain");
                if seen == Seen::Nothing {
                    seen = Seen::NoAnswer;
                }
            }
        }
    }
    seen
}
